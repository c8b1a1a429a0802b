/**
 * A process of the bench at the near end of the line protocol: one order, one answer, with a limit on the wait.
 * It gets the environment it is given and nothing of the caller's.
 * Owns the process: it is ended by its own id in close(), and every one that is still there when the bench exits, fails
 * or is interrupted is ended by killAll(). A process that dies by itself fails the order it was working on.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** A round takes about a second, one of a GiB some seconds; a contestant that needs this long hangs. */
const ANSWER_LIMIT_MS = 180_000;

const living = new Set<Child>();

export class Child {
  readonly name: string;
  readonly #limitMs: number;
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #gone: Promise<void>;
  #waiting: { resolve: (answer: object) => void; reject: (error: Error) => void } | null = null;
  /** An answer that came before it was asked for: the responder's first line. */
  #early: object | null = null;
  #failure: Error | null = null;

  /** @param limitMs how long an answer may take */
  constructor(name: string, command: readonly string[], env: NodeJS.ProcessEnv, limitMs = ANSWER_LIMIT_MS) {
    const [file, ...args] = command;
    if (file === undefined) throw new Error(`Cannot start ${name}: the command is empty`);
    this.name = name;
    this.#limitMs = limitMs;
    this.#process = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"], env });
    living.add(this);
    this.#gone = new Promise((resolve) => {
      const end = (reason: string) => {
        living.delete(this);
        this.#fail(new Error(`${name}: ${reason}`));
        resolve();
      };
      this.#process.on("error", (error) => end(`cannot be started: ${error.message}`));
      this.#process.on("exit", (code, signal) => end(`exited early (${signal ?? code})`));
    });
    // A write to a process that just died; its exit is the failure that counts.
    this.#process.stdin.on("error", () => {});
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#answered(line));
  }

  /**
   * Sends an order and waits for its answer.
   *
   * @throws what the process answered as its error; also when it exits or takes too long (it is then killed)
   */
  async ask<A>(order: object): Promise<A> {
    this.#process.stdin.write(`${JSON.stringify(order)}\n`);
    return this.next<A>();
  }

  /** Waits for the next line without asking for it. */
  async next<A>(): Promise<A> {
    const answer = this.#early ?? (await this.#wait());
    this.#early = null;
    if ("error" in answer) throw new Error(`${this.name}: ${answer.error}`);
    // Both ends import the types of support/protocol.ts; what the line holds is checked by what is done with it.
    return answer as A;
  }

  /** Ends the process: closes its input, which it obeys, and kills it if it does not. */
  async close(): Promise<void> {
    this.#process.stdin.end();
    const timer = setTimeout(() => this.kill(), 2_000);
    await this.#gone;
    clearTimeout(timer);
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #wait(): Promise<object> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail(new Error(`${this.name}: no answer within ${this.#limitMs} ms`));
        this.kill();
      }, this.#limitMs);
      const settle = <T>(then: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      };
      this.#waiting = { resolve: settle(resolve), reject: settle(reject) };
    });
  }

  #answered(line: string): void {
    // A line that is no JSON is a stray print; it must not pass as an answer.
    const answer: object = line.startsWith("{") ? JSON.parse(line) : { error: `stray output: ${line}` };
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#early = answer;
    else waiting.resolve(answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}

export function killAll(): void {
  for (const child of living) child.kill();
}
