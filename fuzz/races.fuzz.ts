/**
 * Races, with fast-check's scheduler deciding who goes next at every step: in a queue, what is pushed before it closes is
 * taken once and in order; an exchange settles once, its answer is its own, and its connection ends in one place; a want
 * settles once, whether its dial, an idle connection or its cancellation comes first, and nobody is forgotten.
 */

import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AsyncQueue } from "../lib/conn/async-queue.ts";
import { rethrowInvariants } from "../lib/conn/persist-conn.ts";
import type { Slot } from "../lib/pool/slot.ts";
import type { WantConn } from "../lib/pool/want-conn.ts";
import { arbitraries } from "../lib/testing/arbitraries/arbitraries.ts";
import type { ResponseMessage } from "../lib/testing/arbitraries/responses.ts";
import { cut } from "../lib/testing/arbitraries/splits.ts";
import { VirtualClock } from "../lib/testing/virtual-clock.ts";
import type { ResponseHead } from "../lib/wire/parser-events.ts";
import { ResponseParser } from "../lib/wire/response-parser.ts";
import { get, MemoryConn, post, Sent } from "../spec/conn/memory-conn.ts";
import { Harness } from "../spec/pool/harness.ts";
import { LIMITS } from "../spec/wire/record.ts";
import { runs } from "./runs.ts";

const FILE = "races";
const arb = arbitraries(fc);
beforeEach(() => rethrowInvariants(true));
afterEach(() => rethrowInvariants(false));

/** The head of a response, as the parser tells it. */
function headOf(bytes: string): ResponseHead {
  const parser = new ResponseParser(LIMITS);
  let told: ResponseHead | null = null;
  parser.begin("GET");
  const view = Buffer.from(bytes, "latin1");
  parser.execute(view, 0, view.length, {
    information() {},
    head(head) {
      told = head;
    },
    data() {},
    trailers() {},
    end() {},
  });
  parser.free();
  if (told === null) throw new Error("that was no head");
  return told;
}

type Scheduler = fc.Scheduler;

test("AsyncQueue gives what was pushed before it closed, once and in order, whoever goes first", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.nat({ max: 8 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      async (s, count, waits, weightMax) => {
        const queue = new AsyncQueue<{ n: number }>("body", weightMax);
        const pushed: number[] = [];
        const taken: number[] = [];
        const producer = async () => {
          for (let n = 0; n < count; n++) {
            await s.schedule(Promise.resolve(), `push ${n}`);
            if (queue.closed) return;
            pushed.push(n);
            const room = queue.push({ n });
            expect(room).toBe(!queue.full);
          }
        };
        const closer = async () => {
          await s.schedule(Promise.resolve(), "close");
          queue.close("first");
          queue.close("second");
        };
        const consumer = async () => {
          for (let i = 0; ; i++) {
            await s.schedule(Promise.resolve(), "take");
            const item = waits[i % waits.length] ? await queue.take() : queue.tryTake();
            if (item !== undefined) taken.push(item.n);
            else if (queue.ended) return;
          }
        };
        await s.waitFor(Promise.all([producer(), closer(), consumer()]));
        expect(taken).toEqual(pushed);
        expect({ weight: queue.weight, ended: queue.ended, reason: queue.reason }).toEqual({
          weight: 0,
          ended: true,
          reason: "first",
        });
      },
    ),
    runs(FILE),
  );
});

test("an Exchange that is answered, failed, fed and ended by different hands settles once, each way", async () => {
  const steps = fc.array(fc.constantFrom("push", "push", "end", "fail"), { maxLength: 4 });
  const head = headOf("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), steps, fc.nat({ max: 2 }), fc.boolean(), async (s, wire, failures, reads) => {
      const sent = new Sent(get(), new VirtualClock(), {});
      const { exchange } = sent;
      const host = { readAsked() {}, bodyTaken() {}, bodyClosed() {} };
      let said: string[] = [];
      const loop = async () => {
        await s.schedule(Promise.resolve(), "answer");
        if (!exchange.answer(head, true, host)) return;
        for (const step of wire) {
          await s.schedule(Promise.resolve(), step);
          if (said.includes("over")) return; // as the connection: nothing is told to one that is over
          if (step === "push") exchange.push(Buffer.from("x"), 0);
          else if (step === "end") exchange.end();
          else exchange.fail(new Error("wire"));
          if (step !== "push") said = [...said, "over"];
        }
      };
      const failer = async (n: number) => {
        await s.schedule(Promise.resolve(), `fail ${n}`);
        if (exchange.fail(new Error(`fail ${n}`))) said = [...said, "over"];
      };
      const reader = async () => {
        await s.schedule(Promise.resolve(), "read");
        if (!reads || sent.response === null) return;
        let got = 0;
        try {
          for await (const chunk of sent.response) got += chunk.length;
        } catch (error) {
          expect(String(error)).toMatch(/wire|fail/);
        }
        expect(got).toBeLessThanOrEqual(wire.filter((step) => step === "push").length);
      };
      const reading = reader();
      await s.waitFor(Promise.all([loop(), ...Array.from({ length: failures }, (_, n) => failer(n))]));
      if (!said.includes("over")) exchange.fail(new Error("fail at last"));
      await s.waitFor(reading);
      expect([sent.response, sent.error].filter((one) => one !== null).length).toBe(1);
      expect(sent.overs).toBe(1);
      expect(exchange.fail(new Error("again"))).toBe(false);
    }),
    runs(FILE),
  );
});

/** How the peer goes on after its pieces, and after how many of them it breaks off. */
interface Ending {
  readonly kind: "nothing" | "end" | "reset" | "unsolicited";
  readonly after: number;
}

const endings: fc.Arbitrary<Ending> = fc.record({
  kind: fc.constantFrom("nothing", "nothing", "end", "reset", "unsolicited"),
  after: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
});

test("an Exchange settles once, its answer is its own, and its connection ends in one place, whoever goes first", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      arb.responseMessages({ methods: ["GET"] }),
      arb.splits(4),
      endings,
      fc.constantFrom("read", "read", "close", "leave"),
      fc.constantFrom("never", "never", "early", "late"),
      fc.option(arb.bodies(40).filter((body) => body !== "" && !body.includes("HTTP/"))),
      async (s, message, splits, ending, reader, aborts, upload) => {
        await raceOnce(s, message, cut(message.bytes, splits), ending, reader, aborts, upload);
      },
    ),
    runs(FILE, 0.5),
  );
});

async function raceOnce(
  s: Scheduler,
  message: ResponseMessage,
  pieces: readonly string[],
  ending: Ending,
  reader: string,
  aborts: string,
  upload: string | null,
): Promise<void> {
  // The wire keeps its order; when its next delivery comes is the scheduler's to say.
  const wire: (() => void)[] = [];
  const schedule = (task: () => void) => {
    wire.push(task);
    void s.schedule(Promise.resolve(), "wire").then(() => wire.shift()?.());
  };
  const held = new MemoryConn({ schedule });
  const sent = held.roundTrip(upload === null ? get() : post(Buffer.from(upload, "latin1")));
  const abortReason = new Error("aborted");
  if (aborts !== "never") {
    const wait = aborts === "early" ? 1 : 6;
    void (async () => {
      for (let i = 0; i < wait; i++) await s.schedule(Promise.resolve(), "abort soon");
      held.conn.abort(sent.exchange, "aborted", abortReason);
    })();
  }
  const kept = Math.floor(ending.after * pieces.length);
  let asked = "";
  let answering = false;
  const answer = async () => {
    for (const piece of pieces.slice(
      0,
      ending.kind === "nothing" || ending.kind === "unsolicited" ? pieces.length : kept,
    )) {
      await s.schedule(Promise.resolve(), "reply");
      held.reply(piece);
    }
    await s.schedule(Promise.resolve(), "ending");
    if (ending.kind === "end" || message.framing === "close") held.peer.end();
    else if (ending.kind === "reset") held.peer.reset();
    else if (ending.kind === "unsolicited") held.reply("HTTP/1.1 408 Request Timeout\r\n\r\n");
  };
  let body: Promise<string> | null = null;
  let read: { text: string } | { error: unknown } | null = null;
  for (let step = 0; step < 3000; step++) {
    await held.settle();
    asked += held.takeWritten();
    if (!answering && asked.includes("\r\n\r\n")) {
      answering = true;
      void answer();
    }
    if (sent.response !== null && body === null && reader !== "leave") {
      if (reader === "close") {
        body = Promise.resolve("");
        await sent.response.close();
      } else {
        body = sent.response.bytes().then((bytes) => Buffer.from(bytes).toString("latin1"));
        body.then(
          (text) => {
            read = { text };
          },
          (error: unknown) => {
            read = { error };
          },
        );
      }
    }
    if (s.count() === 0) break;
    await s.waitOne();
  }
  await held.settle();

  // It settled once, one way; and nothing but the one request was ever written.
  expect([sent.response, sent.error].filter((one) => one !== null).length).toBe(1);
  if (sent.error === abortReason) expect(aborts).not.toBe("never");
  expect(asked.match(/ HTTP\/1\.1\r\n/g)?.length ?? 0).toBeLessThanOrEqual(1);
  const complete = ending.kind === "nothing" || ending.kind === "unsolicited" || kept === pieces.length;
  if (sent.response !== null) {
    expect(sent.response.status).toBe(message.status);
    const last = read as { text: string } | { error: unknown } | null; // the compiler does not see the callbacks
    if (reader === "read" && last !== null && "text" in last) {
      if (complete || message.framing !== "close") expect(last.text).toBe(message.body);
      else expect(message.body.startsWith(last.text)).toBe(true);
    }
    if (reader === "read") expect(last).not.toBeNull();
  } else if (complete && aborts === "never") {
    // A reset may overtake what lay in the kernel; nothing else takes a whole answer away.
    expect(ending.kind).toBe("reset");
  }
  // The connection is in one place: idle once at most, closed once at most, and closed for good.
  const closes = held.log.filter((line) => line.startsWith("closed"));
  expect(closes.length).toBeLessThanOrEqual(1);
  if (closes.length === 1) expect(held.log.at(-1)).toBe(closes[0]);
  expect(held.log.filter((line) => line.startsWith("idle")).length).toBeLessThanOrEqual(1);
  if (reader === "leave" && sent.response !== null) await sent.response.close();
  held.conn.close("transport-closed", new Error("over"));
  for (let step = 0; step < 200 && s.count() > 0; step++) {
    await s.waitOne();
    await held.settle();
  }
  expect(sent.overs).toBe(1);
  expect(held.destroyed).toBe(true);
  expect(held.clock.armed).toBe(0);
}

const wants = fc.array(
  fc.record({
    /** Whether its connection comes back, dies in use, or is retried once. */
    use: fc.constantFrom("put", "put", "remove", "retry"),
    cancelled: fc.constantFrom(false, false, false, true),
    dialFails: fc.constantFrom(false, false, false, true),
  }),
  { minLength: 1, maxLength: 7 },
);

test("a WantConn settles once and none is forgotten, whether dial, idle connection or cancellation comes first", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      wants,
      fc.constantFrom(0, 1, 2),
      fc.boolean(),
      async (s, some, maxConnsPerHost, closes) => {
        const h = new Harness({ maxConnsPerHost });
        const settled = new Map<string, string[]>();
        const byName = new Map<string, WantConn<number, string>>();
        const retried = new Set<string>();
        const turn = (label: string) => s.schedule(Promise.resolve(), label);
        let closed = false;
        h.onError = (name) => settled.get(name)!.push("failed");
        h.onConn = (name, slot) => {
          settled.get(name)!.push("served");
          expect(slot.state).toBe("busy");
          void use(name, slot);
        };
        const use = async (name: string, slot: Slot<number>) => {
          await turn(`${name} is served`);
          if (slot.state !== "busy") return;
          const { use: how } = some[Number(name)]!;
          if (how === "put") h.pool.put(slot, null);
          else if (how === "remove" || retried.has(name)) h.pool.remove(slot);
          else {
            retried.add(name);
            h.pool.retry(byName.get(name)!, slot, false);
          }
        };
        const ask = async (name: string) => {
          await turn(`ask ${name}`);
          settled.set(name, []);
          byName.set(name, h.get(name));
          if (!some[Number(name)]!.cancelled) return;
          await turn(`cancel ${name}`);
          if (h.pool.cancel(byName.get(name)!)) settled.get(name)!.push("cancelled");
        };
        some.forEach((_, i) => void ask(String(i)));
        if (closes) {
          void turn("close").then(() => {
            closed = true;
            h.pool.close(new Error("closed"));
          });
        }
        let dialed = 0;
        let turning = false;
        const dial = async (number: number) => {
          await turn(`dialed ${number}`);
          if (h.slot(number).state !== "dialing") return;
          if (some[number % some.length]!.dialFails) h.dialFailed(number);
          else h.dialed(number);
        };
        const loopTurn = async () => {
          turning = true;
          await turn("batch");
          h.closeBatch();
          await turn("turn");
          h.endTurns();
          turning = false;
        };
        const world = () => {
          while (dialed < h.slots.length) void dial(++dialed);
          if (!turning && h.turnsAsked > 0) void loopTurn();
        };
        for (let step = 0; step < 2000; step++) {
          world();
          if (s.count() === 0) break;
          await s.waitOne();
          const live = h.slots.filter((slot) => slot.state !== "closed").length;
          if (maxConnsPerHost > 0) expect(live).toBeLessThanOrEqual(maxConnsPerHost);
        }
        for (const [name, how] of settled) {
          const again = retried.has(name) ? 1 : 0;
          // A retried wait was served first, and then ends once more.
          expect(how.length, `${name}: ${how}`).toBe(1 + again);
          if (again === 1) expect(how[0]).toBe("served");
        }
        expect(settled.size).toBe(some.length);
        expect(h.pool.stats()).toMatchObject({ waiting: 0, busy: 0, dialing: 0 });
        if (!closed) h.pool.close(new Error("closed"));
        expect(h.pool.isEmpty).toBe(true);
      },
    ),
    runs(FILE),
  );
});
