/**
 * Aborts, phase by phase: the caller gets the signal's reason itself, nothing is left, and nobody else is disturbed.
 *
 * The network is real; time is virtual and stands still, so whatever ends here was ended by the abort.
 */

import dns from "node:dns/promises";
import { getEventListeners } from "node:events";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { rethrowInvariants } from "../../lib/conn/persist-conn.ts";
import { LocalProtocolError, type TraceEvent } from "../../lib/index.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { quiet, SCENARIOS, Stage } from "./phases.ts";

const leaks = checkLeaks();

/** A signal that the check of leaks looks at, too. */
function controller(): AbortController {
  const made = new AbortController();
  leaks().watch(made.signal);
  return made;
}

/** What a promise rejects with. */
function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("It did not reject");
    },
    (error: unknown) => error,
  );
}

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

/** A scenario by its phase. */
function scenario(phase: string) {
  return SCENARIOS.find((one) => one.phase === phase)!; // the name is of this file
}

const EMPTY_ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/** A dialer whose connects wait until they are told to go on. */
function heldDials() {
  const held: { signal: AbortSignal; go: () => void }[] = [];
  return {
    held,
    dial: ({ host, port }: { host: string; port: number }, signal: AbortSignal) =>
      new Promise<ReturnType<typeof connect>>((resolve) => {
        held.push({ signal, go: () => resolve(connect(port, host)) });
      }),
  };
}

describe.each(SCENARIOS)("an abort in the phase $phase", ({ phase, options, reach }) => {
  test("gives the caller its reason itself, and leaves nothing", async () => {
    await using stage = await Stage.open(options);
    const { signal, abort } = aborter();
    const { call, waiting, rest } = await reach(stage, { signal });
    expect(listeners(signal)).toBe(1);
    const reason = new Error("no longer wanted");
    abort(reason);
    expect(listeners(signal)).toBe(0);
    expect(stage.clock.keepingAlive).toBe(0);
    if (waiting !== undefined) expect(await stage.driven(reasonOf(waiting))).toBe(reason);
    if (rest === undefined) {
      expect(await stage.driven(reasonOf(call))).toBe(reason);
    } else {
      expect(await stage.driven(reasonOf(rest()))).toBe(reason);
      expect(await stage.driven(reasonOf(rest()))).toBe(reason);
    }
    stage.peer.transport.closeIdleConnections(); // the dial that outlives its request
    if (phase === "pool") await stage.driven(stage.peer.transport.destroy()); // what it waited for
    await stage.expectNothingLeft();
  });
});

/** As `controller()`, with its parts bound. */
function aborter() {
  const made = controller();
  return { signal: made.signal, abort: (reason?: unknown) => made.abort(reason) };
}

describe("an abort", () => {
  test("before the call rejects it before anything is touched", async () => {
    await using stage = await Stage.open();
    const reason = new Error("never wanted");
    const body = Readable.from(["data"]);
    const call = stage.peer.client.post(stage.peer.url(), { body, signal: AbortSignal.abort(reason) });
    expect(await reasonOf(call)).toBe(reason);
    expect(stage.peer.transport.stats()).toMatchObject({ dialing: 0, dialed: 0 });
    expect(body.destroyed).toBe(true);
    await stage.expectNothingLeft();
  });

  test.each<[string, unknown]>([
    ["the standard's own", undefined],
    ["an error", new Error("why")],
    ["an error of this library, frozen", Object.freeze(new LocalProtocolError("mine", "why"))],
    ["a string", "why"],
    ["zero", 0],
    ["null", null],
  ])("is given through as it is: %s", async (_, reason) => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const asking = await scenario("headers").reach(stage, { signal });
    const reading = await scenario("body").reach(stage, { signal });
    abort(reason);
    expect(await reasonOf(stage.peer.client.get(stage.peer.url(), { signal }))).toBe(signal.reason);
    expect(await reasonOf(asking.call)).toBe(signal.reason);
    expect(await reasonOf(reading.waiting!)).toBe(signal.reason); // a scenario in the body has somebody who waits
    expect(await reasonOf(reading.rest!())).toBe(signal.reason); // as above
    await stage.expectNothingLeft();
  });

  test("adds no fact to a reason that is an error of this library: it belongs to the caller", async () => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const { call } = await scenario("headers").reach(stage, { signal });
    const reason = new LocalProtocolError("mine", "why");
    const before = inspect(reason);
    abort(reason);
    expect(await reasonOf(call)).toBe(reason);
    expect(inspect(reason)).toBe(before);
  });

  test("of AbortSignal.timeout rejects with its TimeoutError", async () => {
    await using stage = await Stage.open();
    const signal = leaks().watch(AbortSignal.timeout(1));
    const call = quiet(stage.peer.client.get(stage.peer.url(), { signal }));
    expect(await stage.driven(reasonOf(call))).toBe(signal.reason);
    expect(signal.reason.name).toBe("TimeoutError");
    stage.peer.transport.closeIdleConnections();
    await stage.until(() => inspect(stage.peer.transport).includes("0 idle, 0 dialing"));
  });

  test("leaves what was buffered to the reader, then its reason, in every form of reading", async () => {
    await using stage = await Stage.open();
    const reason = new Error("enough");
    const { signal, abort } = aborter();
    const responses = [];
    for (let i = 0; i < 4; i++) {
      const call = stage.peer.client.get(stage.peer.url(), { signal });
      const conn = await stage.accept();
      await stage.driven(conn.readHead());
      conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
      responses.push(await stage.driven(call));
    }
    await stage.polls();
    abort(reason);
    const abc = new Uint8Array(Buffer.from("abc"));
    const [iterated, webbed, piped, whole] = responses;

    const chunks = iterated![Symbol.asyncIterator](); // four were pushed
    expect((await chunks.next()).value).toEqual(abc);
    expect(await reasonOf(chunks.next())).toBe(reason);

    const reader = webbed!.body!.getReader(); // a GET's answer has a body
    expect((await reader.read()).value).toEqual(abc);
    expect(await reasonOf(reader.read())).toBe(reason);
    expect(await reasonOf(reader.read())).toBe(reason);

    const stream = piped!.readable();
    const failed = new Promise((resolve) => stream.once("error", resolve));
    const got: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => got.push(chunk));
    expect(await failed).toBe(reason);
    expect(Buffer.concat(got).toString()).toBe("abc");

    expect(await reasonOf(whole!.text())).toBe(reason);
    await stage.expectNothingLeft();
  });

  test("after the end has no effect, though nobody has read [TestTransportResponseCancelRace]", async () => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const { call } = await scenario("headers").reach(stage, { signal });
    stage.conns[0]?.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndata");
    const response = await stage.driven(call);
    await stage.until(() => response.trailers !== null);
    expect(listeners(signal)).toBe(0);
    abort();
    expect(stage.peer.transport.stats()).toMatchObject({ idle: 1, closed: {} });
    expect(await response.text()).toBe("data");
  });

  test("of a signal given to the request ends a call that has none of its own", async () => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const other = aborter();
    const { Request } = await import("../../lib/index.ts");
    const request = new Request(stage.peer.url(), { signal });
    const first = quiet(stage.peer.client.do(request));
    const second = quiet(stage.peer.client.do(request, { signal: other.signal }));
    const conns = [await stage.accept(), await stage.accept()];
    for (const conn of conns) await stage.driven(conn.readHead());
    abort();
    expect(await reasonOf(first)).toBe(signal.reason);
    expect(stage.peer.transport.stats().busy).toBe(1);
    other.abort();
    expect(await reasonOf(second)).toBe(other.signal.reason);
    await stage.expectNothingLeft();
  });

  test("while a 100 is awaited keeps the body back for good", async () => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const call = quiet(stage.peer.client.put(stage.peer.url(), { body: "data", expectContinue: true, signal }));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    abort();
    expect(await reasonOf(call)).toBe(signal.reason);
    expect(await stage.driven(conn.readToEnd())).toBe("");
    await stage.expectNothingLeft();
  });

  test("while a closed body is drained has no effect: the call is over", async () => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const { call } = await scenario("headers").reach(stage, { signal });
    stage.conns[0]?.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    await (await stage.driven(call)).close();
    expect(listeners(signal)).toBe(0);
    abort();
    stage.conns[0]?.reply("defghij");
    await stage.until(() => stage.peer.transport.stats().idle === 1);
  });
});

describe("a request that was aborted disturbs no other", () => {
  test("late, when another owns the connection that was its own", async () => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const { call } = await scenario("headers").reach(stage, { signal });
    const [conn] = stage.conns;
    conn!.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndata"); // accepted by the scenario
    const first = await stage.driven(call);
    await stage.until(() => stage.peer.transport.stats().idle === 1);
    const second = stage.peer.client.get(stage.peer.url("/second"));
    await stage.driven(conn!.readHead());
    abort();
    await first.close();
    conn!.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsec");
    const response = await stage.driven(second);
    expect(response.connection).toMatchObject({ reused: true, served: 1 });
    conn!.reply("ond");
    expect(await stage.driven(response.text())).toBe("second");
  });

  test("on a connection of its own beside others", async () => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const doomed = await scenario("body").reach(stage, { signal });
    const other = await scenario("headers").reach(stage, {});
    abort();
    expect(await reasonOf(doomed.waiting!)).toBe(signal.reason); // a scenario in the body has somebody who waits
    stage.conns[1]?.reply(EMPTY_ANSWER);
    expect((await stage.driven(other.call)).status).toBe(200);
    expect(stage.peer.transport.stats()).toMatchObject({ busy: 0, closed: { aborted: 1 } });
  });

  test("in a queue under maxConnsPerHost: those behind it keep their order", async () => {
    await using stage = await Stage.open({ maxConnsPerHost: 1 });
    const { signal, abort } = aborter();
    const holder = await scenario("headers").reach(stage, {});
    const [conn] = stage.conns;
    const paths = ["/a", "/doomed", "/b", "/c"];
    const calls = paths.map((path) =>
      quiet(stage.peer.client.get(stage.peer.url(path), path === "/doomed" ? { signal } : {})),
    );
    abort();
    expect(await reasonOf(calls[1]!)).toBe(signal.reason); // there are four
    conn!.reply(EMPTY_ANSWER); // accepted by the scenario
    await stage.driven(holder.call);
    for (const path of ["/a", "/b", "/c"]) {
      expect(await stage.driven(conn!.readHead())).toContain(`GET ${path} `);
      conn!.reply(EMPTY_ANSWER);
    }
    for (const i of [0, 2, 3]) expect((await stage.driven(calls[i]!)).status).toBe(200); // as above
    expect(stage.peer.accepted).toHaveLength(1);
  });

  test("as the holder of the only slot: it passes to the one who waits [TestTransportMaxConnsPerHostDialCancellation]", async () => {
    await using stage = await Stage.open({ maxConnsPerHost: 1 });
    const { signal, abort } = aborter();
    const holder = await scenario("headers").reach(stage, { signal });
    const next = stage.peer.client.get(stage.peer.url("/next"));
    abort();
    expect(await reasonOf(holder.call)).toBe(signal.reason);
    const conn = await stage.accept();
    expect(await stage.driven(conn.readHead())).toContain("GET /next ");
    conn.reply(EMPTY_ANSWER);
    expect((await stage.driven(next)).status).toBe(200);
  });

  test("in the turn in which its idle connection is looked at: that stays in the pool", async () => {
    await using stage = await Stage.open();
    const { call } = await scenario("headers").reach(stage, {});
    stage.conns[0]?.reply(EMPTY_ANSWER);
    await stage.driven(call);
    const { signal, abort } = aborter();
    const doomed = quiet(stage.peer.client.get(stage.peer.url("/doomed"), { signal }));
    abort();
    expect(await reasonOf(doomed)).toBe(signal.reason);
    await stage.polls();
    expect(stage.peer.transport.stats()).toMatchObject({ idle: 1, dialed: 1, closed: {} });
    expect(stage.conns[0]?.pending).toBe("");
  });
});

describe("a dial outlives its aborted request", () => {
  test("as the only such dial of its key, and its connection serves the next [TestTransportPoolCancelRequestReusesConn]", async () => {
    const { dial, held } = heldDials();
    await using stage = await Stage.open({ dial });
    const { signal, abort } = aborter();
    const doomed = quiet(stage.peer.client.get(stage.peer.url(), { signal }));
    await stage.until(() => held.length === 1);
    abort();
    expect(await reasonOf(doomed)).toBe(signal.reason);
    expect(held[0]?.signal.aborted).toBe(false);
    held[0]?.go();
    const conn = await stage.accept();
    await stage.until(() => stage.peer.transport.stats().idle === 1);
    const next = stage.peer.client.get(stage.peer.url());
    await stage.driven(conn.readHead());
    conn.reply(EMPTY_ANSWER);
    expect((await stage.driven(next)).connection).toMatchObject({ reused: true, served: 0 });
    expect(held).toHaveLength(1);
  });

  test("and a second one of the same key does not", async () => {
    const { dial, held } = heldDials();
    await using stage = await Stage.open({ dial });
    const { signal, abort } = aborter();
    const doomed = [1, 2, 3].map(() => quiet(stage.peer.client.get(stage.peer.url(), { signal })));
    await stage.until(() => held.length === 3);
    abort();
    for (const call of doomed) expect(await reasonOf(call)).toBe(signal.reason);
    expect(held.filter((one) => one.signal.aborted)).toHaveLength(2);
    expect(stage.peer.transport.stats().dialing).toBe(1);
  });

  test("for another who waits for its slot", async () => {
    const { dial, held } = heldDials();
    await using stage = await Stage.open({ dial, maxConnsPerHost: 1 });
    const { signal, abort } = aborter();
    const doomed = quiet(stage.peer.client.get(stage.peer.url("/doomed"), { signal }));
    const heir = stage.peer.client.get(stage.peer.url("/heir"));
    await stage.until(() => held.length === 1);
    abort();
    expect(await reasonOf(doomed)).toBe(signal.reason);
    held[0]?.go();
    const conn = await stage.accept();
    expect(await stage.driven(conn.readHead())).toContain("GET /heir ");
    conn.reply(EMPTY_ANSWER);
    expect((await stage.driven(heir)).status).toBe(200);
    expect(held).toHaveLength(1);
  });

  test("within its own dialTimeout", async () => {
    const { dial, held } = heldDials();
    await using stage = await Stage.open({ dial, dialTimeout: 1000 });
    const { signal, abort } = aborter();
    const doomed = quiet(stage.peer.client.get(stage.peer.url(), { signal }));
    await stage.until(() => held.length === 1);
    await stage.clock.advance(400);
    abort();
    expect(await reasonOf(doomed)).toBe(signal.reason);
    expect(stage.clock.keepingAlive).toBe(0);
    await stage.clock.advance(599);
    expect(held[0]?.signal.aborted).toBe(false);
    await stage.clock.advance(1);
    expect(held[0]?.signal.aborted).toBe(true);
    await stage.expectNothingLeft();
  });

  test("without keeping the process alive, also where it has only begun", async () => {
    const { dial, held } = heldDials();
    await using stage = await Stage.open({ dial });
    const { signal, abort } = aborter();
    const trace = ({ type }: TraceEvent) => {
      if (type === "dial-start") abort();
    };
    const doomed = quiet(stage.peer.client.get(stage.peer.url(), { signal, trace }));
    expect(await reasonOf(doomed)).toBe(signal.reason);
    await stage.until(() => held.length === 1);
    expect(stage.peer.transport.stats().dialing).toBe(1);
    expect(stage.clock.keepingAlive).toBe(0);
  });

  test("until closeIdleConnections()", async () => {
    const { dial, held } = heldDials();
    await using stage = await Stage.open({ dial });
    const { signal, abort } = aborter();
    const doomed = quiet(stage.peer.client.get(stage.peer.url(), { signal }));
    await stage.until(() => held.length === 1);
    abort();
    expect(await reasonOf(doomed)).toBe(signal.reason);
    stage.peer.transport.closeIdleConnections();
    expect(held[0]?.signal.aborted).toBe(true);
    await stage.expectNothingLeft();
  });
});

// ---- bodies

/** A body that gives one chunk and then nothing, and counts how often it was made and given up. */
interface CountedBody {
  readonly body: () => unknown;
  made: number;
  givenUp: number;
}

const BODIES: Record<string, () => CountedBody> = {
  "a Node stream": () => {
    const counted: CountedBody = { body: () => stream, made: 1, givenUp: 0 };
    const stream = countedStream(counted);
    return counted;
  },
  "a web stream": () => {
    const counted: CountedBody = { body: () => stream, made: 1, givenUp: 0 };
    const stream = new ReadableStream<Uint8Array>({
      start(writer) {
        writer.enqueue(new Uint8Array(Buffer.from("data")));
      },
      cancel() {
        counted.givenUp++;
      },
    });
    return counted;
  },
  "an async iterator": () => {
    const counted: CountedBody = { body: () => iterator, made: 1, givenUp: 0 };
    let given = false;
    const iterator = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => {
        if (given) return new Promise(() => {});
        given = true;
        return Promise.resolve({ done: false, value: "data" });
      },
      return: async () => {
        counted.givenUp++;
        return { done: true, value: undefined };
      },
    };
    return counted;
  },
  "a factory's stream": () => {
    const counted: CountedBody = {
      made: 0,
      givenUp: 0,
      body: () => () => {
        counted.made++;
        return countedStream(counted);
      },
    };
    return counted;
  },
};

function countedStream(counted: CountedBody): Readable {
  const stream = new Readable({ read() {} });
  stream.push("data");
  const destroy = stream.destroy.bind(stream);
  stream.destroy = (error) => {
    counted.givenUp++;
    return destroy(error);
  };
  return stream;
}

describe.each(Object.keys(BODIES))("%s is given up exactly once", (kind) => {
  const lazy = kind.startsWith("a factory");

  test.each(["pool", "dns", "connect", "tls"])("by an abort in the phase %s", async (phase) => {
    const { options, reach } = scenario(phase);
    await using stage = await Stage.open(options);
    const { signal, abort } = aborter();
    const counted = BODIES[kind]!(); // one of its keys
    const { call } = await reach(stage, { signal, body: counted.body() as string }); // it is a body, whatever its kind
    abort();
    expect(await stage.driven(reasonOf(call))).toBe(signal.reason);
    await stage.polls();
    // A GET's body of unknown length is looked at before a connection is asked for, so a factory was called.
    expect(counted).toMatchObject(lazy ? { made: 1, givenUp: 1 } : { givenUp: 1 });
  });

  test("by an abort before the call", async () => {
    await using stage = await Stage.open();
    const counted = BODIES[kind]!(); // one of its keys
    const signal = AbortSignal.abort();
    const body = counted.body() as string; // it is a body, whatever its kind
    expect(await reasonOf(stage.peer.client.post(stage.peer.url(), { signal, body }))).toBe(signal.reason);
    await stage.polls();
    expect(counted).toMatchObject(lazy ? { made: 0, givenUp: 0 } : { givenUp: 1 });
  });

  test.each(["an abort", "a time limit", "an answer that wants no more of it", "a connection lost"])(
    "by %s while it is written",
    async (end) => {
      await using stage = await Stage.open();
      const { signal, abort } = aborter();
      const counted = BODIES[kind]!(); // one of its keys
      const body = counted.body() as string; // it is a body, whatever its kind
      const call = quiet(stage.peer.client.post(stage.peer.url(), { signal, body, timeout: 1000 }));
      const conn = await stage.accept();
      await stage.driven(conn.readHead());
      await stage.driven(conn.expect("4\r\ndata\r\n"));
      expect(counted).toMatchObject({ made: 1, givenUp: 0 });
      if (end === "an abort") abort();
      else if (end === "a time limit") await stage.clock.advance(1000);
      else if (end === "a connection lost") conn.reset();
      else conn.reply("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
      await stage.driven(Promise.allSettled([call]));
      await stage.until(() => stage.peer.transport.stats().busy === 0);
      await stage.polls();
      expect(counted).toMatchObject({ made: 1, givenUp: 1 });
    },
  );
});

// ---- from inside

/** One exchange in which every event happens. */
async function everyEvent(stage: Stage, call: { signal: AbortSignal; trace: (event: TraceEvent) => void }) {
  const lookup = vi
    .spyOn(dns, "lookup")
    .mockImplementation((async () => [{ address: "127.0.0.1", family: 4 }]) as never);
  stage.finally(() => lookup.mockRestore());
  const url = `http://name.invalid:${stage.peer.port}/`;
  const body = () => Readable.from(["data"]);
  const outcome = stage.peer.client
    .post(url, { ...call, body, onInformation: () => {} })
    .then((response) => response.text());
  quiet(outcome);
  const answered = stage.peer.accept().then(async (conn) => {
    await conn.readHead();
    await conn.expect("4\r\ndata\r\n0\r\n\r\n");
    conn.reply("HTTP/1.1 102 Processing\r\n\r\n");
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer");
  });
  quiet(answered);
  return outcome;
}

const EVENTS = [
  "call-start",
  "pool-wait",
  "dial-start",
  "dns-done",
  "connect-start",
  "connect-done",
  "dial-done",
  "pool-assigned",
  "request-write",
  "body-sent",
  "request-sent",
  "first-byte",
  "information",
  "head",
  "body-data",
] as const;

describe("an abort from inside the library's own work", () => {
  // A rule that breaks behind the abort would else show nowhere: the connection is closed anyway.
  beforeAll(() => rethrowInvariants(true));
  afterAll(() => rethrowInvariants(false));

  test("the exchange of these specs has every event in question", async () => {
    await using stage = await Stage.open();
    const seen = new Set<string>();
    const { signal } = aborter();
    expect(await stage.driven(everyEvent(stage, { signal, trace: ({ type }) => seen.add(type) }))).toBe("answer");
    expect([...seen]).toEqual(expect.arrayContaining([...EVENTS]));
  });

  test.each(EVENTS)("by a listener that hears %s ends the call as any other", async (type) => {
    await using stage = await Stage.open();
    const { signal, abort } = aborter();
    const reason = new Error(`at ${type}`);
    let seen = 0;
    const outcome = everyEvent(stage, {
      signal,
      trace: (event) => {
        if (event.type !== type) return;
        seen++;
        abort(reason);
      },
    });
    expect(await stage.driven(reasonOf(outcome))).toBe(reason);
    expect(stage.clock.keepingAlive).toBe(0); // at once, whatever goes on without the caller
    await stage.polls();
    expect(seen).toBe(1);
    stage.peer.transport.closeIdleConnections(); // the dial that outlives its request, or its connection
    await stage.expectNothingLeft();
  });

  test.each(["retry", "pool-wait"])(
    "by a listener that hears the %s of a second attempt ends the call",
    async (type) => {
      await using stage = await Stage.open({ replay: "replayable" });
      const { call: first } = await scenario("headers").reach(stage, {});
      const [conn] = stage.conns;
      conn!.reply(EMPTY_ANSWER); // accepted by the scenario
      await stage.driven(first);
      const { signal, abort } = aborter();
      const reason = new Error(`at ${type}`);
      const trace = (event: TraceEvent) => {
        if (event.type === type && event.attempt === 1) abort(reason);
      };
      const call = quiet(stage.peer.client.get(stage.peer.url(), { signal, trace }));
      await stage.driven(conn!.readHead());
      conn!.reset();
      expect(await stage.driven(reasonOf(call))).toBe(reason);
      await stage.polls();
      expect(stage.peer.accepted).toHaveLength(1);
      await stage.expectNothingLeft();
    },
  );
});
