/**
 * What closes of idle connections teach about how long a server keeps them: after two at about the same age, connections
 * of that key older than 0.8 of it are not given out. A request written to one would race the server's next close.
 *
 * A close teaches with all those that come within the same second: they are one observation, however many they are. Where
 * their ages differ it was no idle time that ended them (a restart, a network that went away), and they teach nothing.
 * An observation counts when its second is over, so that who comes later in it can still deny it.
 *
 * Unlearned, when a connection is seen alive that is clearly older, or when no close has said so for ten minutes; learned
 * anew, when two later closes agree on another age. What is too old stays open until it is asked for: by its close the server goes on to say what holds.
 *
 * Pure: takes the time. Lives as long as its transport; holds as many keys as `keysMax`, the one heard of last longest.
 *
 * RFC 9112 §9.3, §9.6 (a server may close an idle connection at any time).
 */

/** Keys remembered: a client may talk to any number of servers. */
const KEYS_MAX = 1000;
/** Closes within it are one observation. */
const BURST_MS = 1000;
/** Below it the server does not keep connections, and there is no idle time to learn. */
const AGE_MS_MIN = 100;
/** Two ages are about the same where the smaller one is at least this part of the other: servers look in intervals. */
const SAME = 0.9;
/** Of the learned age, a connection may be given out up to this part. */
const SAFE = 0.8;
/** A connection alive at this multiple of the learned age shows that it no longer holds. */
const OUTLIVED = 1.25;

/** A lesson that no close has confirmed for so long is tried again: else requests at a steady pace would never disprove it. */
const HOLDS_MS = 600_000;

interface Lesson {
  /** For people: the key without credentials. */
  readonly shown: string;
  /** The observation that is not over. */
  burst: { readonly at: number; readonly age: number; agree: boolean } | null;
  /** The age of the last one that is; null after none. */
  last: number | null;
  learned: number | null;
  /** When a close said so for the last time. */
  learnedAt: number;
}

/** What was learned about one key. */
export interface LearnedIdle {
  readonly key: string;
  /** The age at which the server closes idle connections, in ms. */
  readonly closesAfter: number;
}

export class IdleLessons {
  readonly #keys = new Map<string, Lesson>();
  readonly #keysMax: number;

  constructor(keysMax: number = KEYS_MAX) {
    this.#keysMax = keysMax;
  }

  /**
   * The server has closed a connection that was idle for `age` ms.
   *
   * @param shown names the key in `learned()`
   * @param now by a clock that goes on while the machine sleeps, in ms
   */
  closed(key: string, shown: string, age: number, now: number): void {
    if (!(age >= AGE_MS_MIN)) return;
    const lesson = this.#keys.get(key) ?? { shown, burst: null, last: null, learned: null, learnedAt: 0 };
    this.#settle(lesson, now);
    if (lesson.burst === null) lesson.burst = { at: now, age, agree: true };
    else if (!alike(lesson.burst.age, age)) lesson.burst.agree = false;
    this.#keys.delete(key);
    this.#keys.set(key, lesson);
    if (this.#keys.size > this.#keysMax) {
      const [oldest] = this.#keys.keys();
      this.#keys.delete(oldest!); // there are more than keysMax
    }
  }

  /**
   * Whether a connection that is idle for `age` ms, and alive, is too old to be given out: then the age at which the server
   * closes, else null.
   */
  tooOld(key: string, age: number, now: number): number | null {
    if (this.#keys.size === 0) return null;
    const lesson = this.#keys.get(key);
    if (lesson === undefined) return null;
    this.#settle(lesson, now);
    const { learned } = lesson;
    if (learned === null || age <= SAFE * learned) return null;
    if (age <= OUTLIVED * learned && Math.abs(now - lesson.learnedAt) <= HOLDS_MS) return learned;
    lesson.learned = null;
    lesson.last = null;
    return null;
  }

  /** What holds now. */
  learned(now: number): LearnedIdle[] {
    const all: LearnedIdle[] = [];
    for (const lesson of this.#keys.values()) {
      this.#settle(lesson, now);
      if (lesson.learned !== null) all.push({ key: lesson.shown, closesAfter: lesson.learned });
    }
    return all;
  }

  #settle(lesson: Lesson, now: number): void {
    const { burst, last } = lesson;
    // A clock that was set back must not keep an observation open.
    if (burst === null || Math.abs(now - burst.at) < BURST_MS) return;
    lesson.burst = null;
    if (!burst.agree) return;
    if (last !== null && alike(last, burst.age)) {
      lesson.learned = Math.min(last, burst.age);
      lesson.learnedAt = now;
    }
    lesson.last = burst.age;
  }
}

function alike(a: number, b: number): boolean {
  return Math.min(a, b) >= SAME * Math.max(a, b);
}
