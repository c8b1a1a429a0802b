import { describe, expect, test } from "vitest";
import { type Address, AddressRace, interleave, outcomeOf } from "../../lib/conn/happy-eyeballs.ts";
import type { DialAttempt } from "../../lib/errors.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";

const six = (n: number): Address => ({ address: `fd00::${n}`, family: 6 });
const four = (n: number): Address => ({ address: `10.0.0.${n}`, family: 4 });
const names = (addresses: readonly Address[]) => addresses.map(({ address }) => address);

describe("interleave() (RFC 8305 §4)", () => {
  test.each([
    ["nothing of nothing", [], undefined, []],
    [
      "takes turns, the first address's family first",
      [six(1), six(2), four(1), four(2)],
      undefined,
      [six(1), four(1), six(2), four(2)],
    ],
    ["keeps the resolver's order within a family", [four(2), four(1), six(1)], undefined, [four(2), six(1), four(1)]],
    ["begins with the family that it is told", [six(1), six(2), four(1)], 4, [four(1), six(1), six(2)]],
    ["does with one family what it can", [four(1), four(2)], 6, [four(1), four(2)]],
  ] as const)("%s", (_, addresses, first, expected) => {
    expect(names(interleave(addresses, first))).toEqual(names(expected));
  });
});

/** What is raced here: it stands or fails when the spec says so. */
class FakeSocket {
  destroyed = false;
  unreferenced = false;
  readonly address: string;
  readonly done: (error: Error | null) => void;

  constructor(address: string, done: (error: Error | null) => void) {
    this.address = address;
    this.done = done;
  }

  destroy(): void {
    this.destroyed = true;
  }

  unref(): void {
    this.unreferenced = true;
  }
}

function raceOf(addresses: readonly Address[], hear: (what: string, race: AddressRace<FakeSocket>) => void = () => {}) {
  const clock = new VirtualClock();
  const sockets: FakeSocket[] = [];
  const log: string[] = [];
  const finished: DialAttempt[] = [];
  const race = new AddressRace<FakeSocket>(addresses, 80, clock, 250, {
    open({ address }, done) {
      const socket = new FakeSocket(address, done);
      sockets.push(socket);
      return socket;
    },
    started: ({ address }) => {
      log.push(`start ${address} at ${clock.now()}`);
      hear(`start ${address}`, race);
    },
    finished: (attempt) => {
      finished.push(attempt);
      hear(`${attempt.outcome} ${attempt.address}`, race);
    },
    won: ({ address }) => void log.push(`won ${address} at ${clock.now()}`),
    lost: (errors) => void log.push(`lost: ${errors.map(({ message }) => message).join(", ")}`),
  });
  race.start();
  return { clock, race, sockets, log, finished };
}

describe("AddressRace", () => {
  test("gives the connection to the first address when it stands at once", async () => {
    const { clock, sockets, log, finished } = raceOf([six(1), four(1)]);
    await clock.advance(10);
    sockets[0]!.done(null);
    await clock.advance(1000);
    expect(log).toEqual(["start fd00::1 at 0", "won fd00::1 at 10"]);
    expect(finished).toEqual([{ address: "fd00::1", family: 6, port: 80, outcome: "connected", ms: 10 }]);
    expect(clock.armed).toBe(0);
  });

  test("tries the next address beside a slow one after 250 ms, and destroys the loser (RFC 8305 §5)", async () => {
    const { clock, sockets, log, finished } = raceOf([six(1), four(1), six(2)]);
    await clock.advance(250);
    await clock.advance(20);
    sockets[1]!.done(null);
    await clock.advance(1000);
    expect(log).toEqual(["start fd00::1 at 0", "start 10.0.0.1 at 250", "won 10.0.0.1 at 270"]);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    expect(finished).toEqual([
      { address: "10.0.0.1", family: 4, port: 80, outcome: "connected", ms: 20 },
      { address: "fd00::1", family: 6, port: 80, outcome: "slower", ms: 270 },
    ]);
    expect(clock.armed).toBe(0);
  });

  test("a slow address may still win: nothing aborts it when the next begins", async () => {
    const { clock, sockets, log } = raceOf([six(1), four(1)]);
    await clock.advance(400);
    sockets[0]!.done(null);
    expect(log.at(-1)).toBe("won fd00::1 at 400");
    expect(sockets[1]!.destroyed).toBe(true);
  });

  test("tries the next address at once when one fails, and gives it its own 250 ms", async () => {
    const { clock, sockets, log } = raceOf([six(1), four(1), six(2)]);
    await clock.advance(100);
    sockets[0]!.done(new Error("refused"));
    await clock.advance(249);
    expect(log).toEqual(["start fd00::1 at 0", "start 10.0.0.1 at 100"]);
    await clock.advance(1);
    expect(log.at(-1)).toBe("start fd00::2 at 350");
    sockets[2]!.done(null);
    expect(log.at(-1)).toBe("won fd00::2 at 350");
  });

  test("is lost when every address has failed, with every error and every attempt", async () => {
    const { clock, race, sockets, log } = raceOf([six(1), four(1)]);
    await clock.advance(300);
    sockets[1]!.done(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
    expect(log.at(-1)).toBe("start 10.0.0.1 at 250");
    await clock.advance(100);
    sockets[0]!.done(Object.assign(new Error("no route"), { code: "EHOSTUNREACH" }));
    expect(log.at(-1)).toBe("lost: refused, no route");
    expect(race.attempts).toEqual([
      { address: "10.0.0.1", family: 4, port: 80, outcome: "ECONNREFUSED", ms: 50 },
      { address: "fd00::1", family: 6, port: 80, outcome: "EHOSTUNREACH", ms: 400 },
    ]);
    expect(clock.armed).toBe(0);
  });

  test("cancel() destroys every attempt, and nothing is told any more", async () => {
    const { clock, race, sockets, log } = raceOf([six(1), four(1), six(2)]);
    await clock.advance(300);
    race.cancel("aborted");
    race.cancel("aborted");
    for (const socket of sockets) socket.done(null);
    await clock.advance(1000);
    expect(log).toEqual(["start fd00::1 at 0", "start 10.0.0.1 at 250"]);
    expect(sockets.every(({ destroyed }) => destroyed)).toBe(true);
    expect(race.attempts.map(({ outcome }) => outcome)).toEqual(["aborted", "aborted"]);
    expect(clock.armed).toBe(0);
  });

  test("unref() reaches attempts that run and those that come", async () => {
    const { clock, race, sockets } = raceOf([six(1), four(1)]);
    race.unref();
    await clock.advance(300);
    expect(sockets.map(({ unreferenced }) => unreferenced)).toEqual([true, true]);
    race.cancel("aborted");
  });

  test("without unref() no attempt is unref'd, and behind the last one no time is waited for", async () => {
    const { clock, sockets } = raceOf([six(1), four(1)]);
    expect(clock.untilNext).toBe(250);
    await clock.advance(250);
    expect(sockets.map(({ unreferenced }) => unreferenced)).toEqual([false, false]);
    expect(clock.armed).toBe(0);
  });

  test("who hears of a start may cancel: nothing is opened", async () => {
    const { clock, sockets, log } = raceOf([six(1), four(1)], (what, race) => {
      if (what === "start 10.0.0.1") race.cancel("aborted");
    });
    await clock.advance(250);
    expect(sockets).toHaveLength(1);
    expect(sockets[0]!.destroyed).toBe(true);
    await clock.advance(1000);
    expect(log).toEqual(["start fd00::1 at 0", "start 10.0.0.1 at 250"]);
    expect(clock.armed).toBe(0);
  });

  test.each(["connected fd00::1", "slower 10.0.0.1"])(
    "who hears of %s and cancels changes no outcome",
    async (when) => {
      const { clock, sockets, finished } = raceOf([six(1), four(1), six(2)], (what, race) => {
        if (what === when) race.cancel("aborted");
      });
      await clock.advance(500);
      sockets[0]!.done(null);
      expect(finished.map(({ address, outcome }) => `${outcome} ${address}`)).toEqual([
        "connected fd00::1",
        "slower 10.0.0.1",
        "slower fd00::2",
      ]);
    },
  );
});

describe("outcomeOf()", () => {
  test.each<[unknown, string]>([
    [Object.assign(new Error("x"), { code: "ECONNREFUSED" }), "ECONNREFUSED"],
    [Object.assign(new RangeError("x"), { code: 5 }), "RangeError"],
    [{ code: "ECONNREFUSED" }, "rejected"],
    [undefined, "rejected"],
  ])("%s: %s", (error, outcome) => {
    expect(outcomeOf(error)).toBe(outcome);
  });
});
