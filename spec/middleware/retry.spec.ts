/** The retry policy: what is sent again, when, over which connection, and what ends it. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Client,
  ConnectionClosedError,
  DialError,
  HttpError,
  LocalProtocolError,
  PoolTimeoutError,
  ProxyError,
  RemoteProtocolError,
  Request,
  type RequestInit,
  Response,
  TimeoutError,
  TlsError,
  TransportClosedError,
} from "../../lib/index.ts";
import { retryAfter } from "../../lib/middleware/retry-after.ts";
import { judge } from "../../lib/middleware/retry-rules.ts";
import { RetryBudget, type RetryDecision, type RetryOptions, withRetry } from "../../lib/middleware.ts";
import { nextUncaught } from "../support/uncaught.ts";
import { errorOf, ORIGIN, settled, TimedSite, world } from "./harness.ts";

const busy = (...fields: [string, string][]) => new Response("busy", { status: 503, headers: fields });
const ok = () => new Response("ok");

/** Delays are what they are at most, so that times can be told. */
const FULL = { random: () => 1 } as const;

function retrying(answers: readonly (() => Response | Promise<Response>)[], options: RetryOptions = {}) {
  const told: RetryDecision[] = [];
  const finals: RetryDecision[] = [];
  const site = new TimedSite((_, count) => (answers[Math.min(count, answers.length - 1)] as () => Response)());
  const transport = withRetry(site, {
    ...FULL,
    onRetry: (decision) => told.push(decision),
    onGiveUp: (decision) => finals.push(decision),
    ...options,
  });
  const send = (init: RequestInit = {}, call = {}) => transport.roundTrip(new Request(`${ORIGIN}/`, init), call);
  return { site, transport, send, told, finals };
}

describe("withRetry(): which request goes again", () => {
  test.each([408, 429, 502, 503, 504])(
    "a GET that was answered with %s does, and the answer after it is given",
    async (status) => {
      const { site, send, told } = retrying([() => new Response("no", { status }), ok]);
      const response = await settled(site.clock, send());
      expect([response.status, await response.text()]).toEqual([200, "ok"]);
      expect(told).toMatchObject([{ attempt: 1, status, reason: `status ${status}`, delay: 200 }]);
    },
  );

  test.each([200, 301, 400, 401, 404, 409, 500, 501])("one that was answered with %s does not", async (status) => {
    const { site, send, finals } = retrying([() => new Response(null, { status })]);
    expect((await send()).status).toBe(status);
    expect(site.seen).toHaveLength(1);
    expect(finals).toEqual([]);
  });

  test.each([
    ["GET", 3],
    ["HEAD", 3],
    ["OPTIONS", 3],
    ["PUT", 3],
    ["DELETE", 3],
    ["POST", 1],
    ["PATCH", 1],
  ])("%s is sent %i times to a server that stays busy (RFC 9110 §9.2.2)", async (method, times) => {
    const { site, send, finals } = retrying([() => busy()]);
    expect((await settled(site.clock, send({ method }))).status).toBe(503);
    expect(site.seen).toHaveLength(times);
    expect(finals).toHaveLength(1);
  });

  test("a POST with an Idempotency-Key of the caller's does, with that key", async () => {
    const { site, send } = retrying([() => busy(), () => busy(), ok]);
    await settled(site.clock, send({ method: "POST", body: "once", headers: { "Idempotency-Key": '"mine"' } }));
    expect(site.sent("idempotency-key")).toEqual(['"mine"', '"mine"', '"mine"']);
    expect(site.steps).toEqual(['POST "once"', 'POST "once"', 'POST "once"']);
  });

  test("idempotencyKey: true makes one key for all attempts of a POST, another for the next call, none for a GET", async () => {
    const { site, send } = retrying([() => busy(), ok, ok, ok], { idempotencyKey: true });
    await settled(site.clock, send({ method: "POST", json: { a: 1 } }));
    await send({ method: "POST", body: "x" });
    await send();
    const [first, again, second, get] = site.sent("idempotency-key");
    expect(first).toMatch(/^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$/);
    expect(again).toBe(first);
    expect(second).not.toBe(first);
    expect(get).toBeNull();
    expect(site.seen[0]?.request.headers.get("content-type")).toBe("application/json");
  });

  test("idempotencyKey may be a function, whose text goes out as it is; what it throws fails the call before anything is sent", async () => {
    const { site, send } = retrying([ok], { idempotencyKey: ({ url }) => `key of ${url}` });
    await send({ method: "PATCH" });
    expect(site.sent("idempotency-key")).toEqual([`key of ${ORIGIN}/`]);
    const failing = retrying([ok], {
      idempotencyKey() {
        throw new Error("no key");
      },
    });
    expect((await errorOf(failing.send({ method: "POST" }))).message).toBe("no key");
    expect(failing.site.seen).toEqual([]);
  });

  test("a body that can be read once is sent once; a factory's is made anew", async () => {
    const once = retrying([() => busy(), ok]);
    const stream = async function* () {
      yield "stream";
    };
    expect((await settled(once.site.clock, once.send({ method: "PUT", body: stream() }))).status).toBe(503);
    expect(once.finals).toMatchObject([{ reason: "the body cannot be made again", delay: null }]);
    const made = retrying([() => busy(), ok]);
    expect((await settled(made.site.clock, made.send({ method: "PUT", body: stream }))).status).toBe(200);
    expect(made.site.steps).toEqual(['PUT "stream"', 'PUT "stream"']);
  });

  const get = new Request(ORIGIN);
  const post = new Request(ORIGIN, { method: "POST" });
  const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" });
  const tried = (outcome: string) => [{ address: "10.0.0.1", port: 80, family: 4, outcome, ms: 1 } as const];
  test.each<[string, unknown, retriesGet: boolean, retriesPost: boolean]>([
    ["a refused dial", new DialError("x", tried("ECONNREFUSED")), true, true],
    ["a dial that the address policy refused", new DialError("x", tried("refused-by-policy")), false, false],
    ["a name that does not exist", new DialError("x", [], { cause: { code: "ENOTFOUND" } }), false, false],
    ["a resolver that fails for the moment", new DialError("x", [], { cause: { code: "EAI_AGAIN" } }), true, true],
    ["a handshake that was reset", new TlsError("x", { cause: reset }), true, true],
    ["a certificate that is not valid", new TlsError("x", { cause: { code: "CERT_HAS_EXPIRED" } }), false, false],
    ["nothing was written", new ConnectionClosedError("x", { safeToRetry: true }), true, true],
    ["lost before an answer", new ConnectionClosedError("x", { safeToRetry: false, bytesRead: 0 }), true, false],
    ["lost within a head", new ConnectionClosedError("x", { safeToRetry: false, bytesRead: 9 }), true, false],
    ["not processed", new ConnectionClosedError("x", { unprocessed: true }), true, true],
    [
      "no head in time",
      new TimeoutError("headers", "responseHeaderTimeout", 1, "x", { safeToRetry: false }),
      false,
      false,
    ],
    [
      "no head in time, idempotent",
      new TimeoutError("headers", "responseHeaderTimeout", 1, "x", { safeToRetry: true }),
      true,
      true,
    ],
    ["the whole time is up", new TimeoutError("total", "timeout", 1, "x", { safeToRetry: true }), false, false],
    [
      "no place in the pool",
      new PoolTimeoutError(1, "x", { waiting: 1, dialing: 0, busy: 1, idle: 0, oldestBusyMs: 1 }),
      false,
      false,
    ],
    ["a proxy that says 407", new ProxyError("x", { status: 407, headers: [], body: "" }), false, false],
    ["a proxy that says 503", new ProxyError("x", { status: 503, headers: [], body: "" }), true, true],
    ["a proxy that broke off", new ProxyError("x", null), true, true],
    ["a closed transport", new TransportClosedError("x", { safeToRetry: true }), false, false],
    ["a wrong request", new LocalProtocolError("url", "x", { safeToRetry: true }), false, false],
    ["a peer that breaks HTTP", new RemoteProtocolError("x", { reason: "", offset: 0, excerpt: "" }), false, false],
    ["the body's own error", new Error("disk"), false, false],
  ])("after %s", (_, error, retriesGet, retriesPost) => {
    const failure = { attempt: 1, status: null, headers: null, error };
    const statuses = new Set([503]);
    expect(judge({ ...failure, request: get }, statuses).retry).toBe(retriesGet);
    expect(judge({ ...failure, request: post }, statuses).retry).toBe(retriesPost);
  });

  test("retryIf takes the place of these rules, and of no other", async () => {
    const asked: unknown[] = [];
    const retryIf: RetryOptions["retryIf"] = ({ status, error }) => {
      asked.push(status ?? error);
      return true;
    };
    const { site, send, told } = retrying(
      [() => new Response(null, { status: 500 }), () => Promise.reject("odd"), ok],
      {
        retryIf,
        statuses: [500],
      },
    );
    expect((await settled(site.clock, send({ method: "POST" }))).status).toBe(200);
    expect(asked).toEqual([500, "odd"]);
    expect(told.map(({ reason }) => reason)).toEqual(["option retryIf says so", "option retryIf says so"]);

    const failing = retrying([() => busy()], {
      retryIf() {
        throw new Error("mine");
      },
    });
    expect((await errorOf(failing.send())).message).toBe("mine");
  });
});

describe("withRetry(): when", () => {
  test("delays double, up to maxDelay, and are any time from 0 to that (full jitter)", async () => {
    const full = retrying([() => busy()], { maxAttempts: 6, baseDelay: 100, maxDelay: 500 });
    await settled(full.site.clock, full.send());
    expect(full.told.map(({ delay }) => delay)).toEqual([100, 200, 400, 500, 500]);
    expect(full.site.times).toEqual([0, 100, 300, 700, 1200, 1700]);
    const half = retrying([() => busy()], { random: () => 0.5, maxAttempts: 3, baseDelay: 100 });
    await settled(half.site.clock, half.send());
    expect(half.told.map(({ delay }) => delay)).toEqual([50, 100]);
    const none = retrying([() => busy()], { random: () => 0 });
    await none.send(); // no time has to pass
    expect(none.site.seen).toHaveLength(3);
    const [random] = await Promise.all([retrying([() => busy()], { random: Math.random, maxAttempts: 4 })]);
    await settled(random.site.clock, random.send());
    random.told.forEach(({ delay }, i) => {
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThan(200 * 2 ** i);
    });
  });

  test.each([
    ["2", 2_000],
    ["0", 0],
    ["120", 120_000],
    ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
    ["Thursday, 01-Jan-26 00:00:30 GMT", 30_000],
    ["Wed, 31 Dec 2025 23:59:00 GMT", 0],
    ["soon", null],
    ["-1", null],
    ["1.5", null],
    ["1, 2", null],
    ["", null],
    [null, null],
  ])("retryAfter(%j) is %s (RFC 9110 §10.2.3)", (value, ms) => {
    expect(retryAfter(value, Date.UTC(2026, 0, 1))).toBe(ms);
  });

  test("waits for as long as Retry-After says, and the jitter on top, so never less", async () => {
    const { site, send } = retrying([() => busy(["Retry-After", "7"]), ok]);
    await settled(site.clock, send());
    expect(site.times).toEqual([0, 7_200]);
    const date = retrying([() => busy(["Retry-After", "Thu, 01 Jan 2026 00:00:09 GMT"]), ok]);
    await settled(date.site.clock, date.send());
    expect(date.site.times).toEqual([0, 9_200]);
    const nonsense = retrying([() => busy(["Retry-After", "later"]), ok]);
    await settled(nonsense.site.clock, nonsense.send());
    expect(nonsense.site.times).toEqual([0, 200]);
  });

  test("gives the answer at once where Retry-After is more than maxRetryAfter", async () => {
    const { send, finals } = retrying([() => busy(["Retry-After", "61"])]);
    const response = await send();
    expect(await response.text()).toBe("busy");
    expect(finals).toMatchObject([{ reason: "the server asks to wait for 61000 ms (option maxRetryAfter)" }]);
  });

  test("gives the last answer or error at once where the delay would exceed the call's time", async () => {
    const { send, finals } = retrying([() => busy(["Retry-After", "5"])]);
    const response = await send({}, { deadline: { at: 5_200, limit: 5_200 } });
    expect(await response.text()).toBe("busy"); // unread by anybody before
    expect(finals[0]?.reason).toBe("the delay of 5200 ms would exceed the call's time (option timeout)");
    const broken = new ConnectionClosedError("lost");
    const failing = retrying([() => Promise.reject(broken)]);
    expect(await errorOf(failing.send({}, { deadline: { at: 100, limit: 100 } }))).toBe(broken);
  });

  test("a Client's timeout is one for all attempts and delays", async () => {
    const { site, transport } = retrying([() => busy()], { maxAttempts: 100, baseDelay: 1_000, maxDelay: 1_000 });
    const response = await settled(site.clock, new Client({ transport, timeout: 3_500 }).get(ORIGIN));
    expect(response.status).toBe(503);
    expect(site.times).toEqual([0, 1_000, 2_000, 3_000]);
    expect(new Set(site.seen.map(({ call }) => call?.deadline?.at))).toEqual(new Set([3_500]));
  });
});

describe("withRetry(): interleavings", () => {
  test("an abort in the delay rejects with its reason, sends nothing more and leaves no timer", async () => {
    const { site, send } = retrying([() => busy()]);
    const controller = new AbortController();
    const call = send({}, { signal: controller.signal });
    await site.clock.settle();
    expect([site.clock.armed, site.clock.keepingAlive]).toEqual([1, 1]);
    const reason = new Error("mine");
    controller.abort(reason);
    expect(await errorOf(call)).toBe(reason);
    await site.clock.advance(10_000);
    expect([site.seen.length, site.clock.armed]).toEqual([1, 0]);
  });

  test("a signal that is aborted when the answer comes has the last word", async () => {
    const controller = new AbortController();
    const { send, told, finals } = retrying([
      () => {
        controller.abort("over");
        return busy();
      },
    ]);
    await expect(send({}, { signal: controller.signal })).rejects.toBe("over");
    expect([told, finals]).toEqual([[], []]);
  });

  test("an abort within an attempt is no failure of the network", async () => {
    const controller = new AbortController();
    const { site, send, told, finals } = retrying([
      () => {
        controller.abort(new ConnectionClosedError("looks like one"));
        throw controller.signal.reason;
      },
    ]);
    expect(await errorOf(send({}, { signal: controller.signal }))).toBe(controller.signal.reason);
    expect([site.seen.length, told, finals]).toEqual([1, [], []]);
  });

  test("close() ends the delays, tells the next one, and no call is sent again after it", async () => {
    const { site, transport, send, finals } = retrying([() => busy()]);
    const call = errorOf(send());
    await site.clock.settle();
    await transport.close();
    expect(await call).toBeInstanceOf(TransportClosedError);
    expect(site.closed).toEqual(["close"]);
    expect(site.clock.armed).toBe(0);
    expect((await send()).status).toBe(503);
    expect(finals.at(-1)?.reason).toBe("the round tripper is closed");
  });

  test("destroy(reason) ends them for that reason; the failure before it is the cause of a close", async () => {
    const lost = new ConnectionClosedError("lost");
    const { site, transport, send } = retrying([() => Promise.reject(lost)]);
    const first = errorOf(send());
    await site.clock.settle();
    await transport.destroy("enough");
    expect(await first).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED", cause: "enough" });
    expect(site.closed).toEqual(["destroy enough"]);
    const other = retrying([() => Promise.reject(lost)]);
    const second = errorOf(other.send());
    await other.site.clock.settle();
    await other.transport[Symbol.asyncDispose]();
    expect((await second).cause).toBe(lost);
  });

  test("a transport that is closed within the delay fails the call with its own error", async () => {
    const { clock, transport } = world(() => ({ status: 503 }));
    const call = errorOf(withRetry(transport, FULL).roundTrip(new Request(ORIGIN)));
    await clock.settle();
    await transport.close();
    expect(await settled(clock, call)).toBeInstanceOf(TransportClosedError);
    expect([clock.armed, clock.holds]).toEqual([0, 0]);
  });

  test("answers that are not given are drained: all attempts go over one connection", async () => {
    const { clock, transport, seen } = world((_, count) =>
      count < 2 ? { status: 503, body: "x".repeat(100_000), framing: "chunked", chunkBytes: 1_000 } : { body: "done" },
    );
    const response = await settled(clock, withRetry(transport, FULL).roundTrip(new Request(ORIGIN)));
    expect(await response.text()).toBe("done");
    expect(response.connection).toMatchObject({ reused: true, served: 2 });
    expect(transport.stats()).toMatchObject({ dialed: 1, calls: 3 });
    expect(seen.map(({ at }) => at)).toEqual([0, 200, 600]);
    await transport.close();
  });

  test("so they do without any delay, since the drain is waited for", async () => {
    const { clock, transport } = world((_, count) => {
      if (count > 0) return { body: "done" };
      return async (_request, conn) => {
        conn.reply("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n");
        await conn.wait(20);
        conn.reply("busy");
      };
    });
    const response = await settled(clock, withRetry(transport, { random: () => 0 }).roundTrip(new Request(ORIGIN)));
    expect(response.status).toBe(200);
    expect(transport.stats()).toMatchObject({ dialed: 1 });
    await transport.close();
  });

  test("an answer whose rest does not come is not waited for: another connection is dialed", async () => {
    const { clock, transport } = world((_, count) =>
      count > 0 ? { body: "done" } : (_request, conn) => conn.reply("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n"),
    );
    const response = await settled(clock, withRetry(transport, { random: () => 0 }).roundTrip(new Request(ORIGIN)));
    expect(response.status).toBe(200);
    expect(clock.now()).toBeLessThanOrEqual(60);
    expect(transport.stats()).toMatchObject({ dialed: 2 });
    await transport.close();
  });

  test("a reset before the answer is another attempt, one within the body is the reader's error", async () => {
    const { clock, transport, seen } = world((_, count) => {
      if (count === 0) return null;
      return (_request, conn) => {
        conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!");
        conn.end();
      };
    });
    const response = await settled(clock, withRetry(transport, FULL).roundTrip(new Request(ORIGIN)));
    expect(response.status).toBe(200);
    expect(await errorOf(response.text())).toMatchObject({ code: "ERR_HTTP_INCOMPLETE_BODY" });
    expect(seen).toHaveLength(2);
    await transport.close();
  });

  test("a dial that is refused is another attempt, of a POST too", async () => {
    const { clock, network, transport } = world(() => ({ body: "up" }));
    let dials = 0;
    network.listen("late.test", 80, {
      admit: (count) => {
        dials = count + 1;
        return count === 0 ? "refused" : "accepted";
      },
      behaviour: (_, conn) => conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    });
    const request = new Request("http://late.test/", { method: "POST", body: "x" });
    expect((await settled(clock, withRetry(transport, FULL).roundTrip(request))).status).toBe(200);
    expect(dials).toBe(2);
    await transport.close();
  });
});

describe("RetryBudget", () => {
  test("lets pass a tenth of the calls and one a second, once what was saved is gone", async () => {
    const { site, send, told, finals } = retrying([() => busy()], { maxAttempts: 2, random: () => 0 });
    for (let i = 0; i < 100; i++) await send();
    // 10 were there, and each call brought a tenth; what is full takes no more, so the first brought nothing.
    expect(told.length).toBeGreaterThanOrEqual(19);
    expect(told.length).toBeLessThanOrEqual(20);
    expect(finals.at(-1)?.reason).toMatch(/^the retry budget is used up|^2 attempts were made/);
    expect(site.seen.length).toBe(100 + told.length);
    const before = told.length;
    await site.clock.advance(3_000);
    for (let i = 0; i < 5; i++) await send();
    expect(told.length - before).toBeGreaterThanOrEqual(3);
    expect(told.length - before).toBeLessThanOrEqual(4);
  });

  test("is shared by those who are given it, and null is none", async () => {
    const budget = new RetryBudget({ ratio: 0, perSecond: 0, burst: 1 });
    const one = retrying([() => busy()], { budget, random: () => 0 });
    const other = retrying([() => busy()], { budget, random: () => 0 });
    await one.send();
    await other.send();
    expect([one.told.length, other.told.length, budget.available]).toEqual([1, 0, 0]);
    const free = retrying([() => busy()], { budget: null, random: () => 0, maxAttempts: 50 });
    await free.send();
    expect(free.site.seen).toHaveLength(50);
  });

  test("never gives more than it got, in any order of calls, retries and time", () => {
    const step = fc.oneof(
      fc.constant("call" as const),
      fc.constant("retry" as const),
      fc.double({ min: -1_000, max: 5_000, noNaN: true }),
    );
    const options = fc.record({
      ratio: fc.double({ min: 0, max: 2, noNaN: true }),
      perSecond: fc.double({ min: 0, max: 5, noNaN: true }),
      burst: fc.double({ min: 0, max: 20, noNaN: true }),
    });
    fc.assert(
      fc.property(options, fc.array(step, { maxLength: 200 }), (given, steps) => {
        const budget = new RetryBudget(given);
        let now = 0;
        let income = given.burst;
        let spent = 0;
        for (const what of steps) {
          if (typeof what === "number") {
            if (what > 0) income += (what / 1000) * given.perSecond;
            now += Math.max(what, 0);
          } else if (what === "call") {
            budget.deposit(now);
            income += given.ratio;
          } else if (budget.withdraw(now)) spent++;
          expect(budget.available).toBeLessThanOrEqual(given.burst);
          expect(budget.available).toBeGreaterThanOrEqual(0);
          expect(spent).toBeLessThanOrEqual(income + 1e-6);
        }
      }),
    );
  });
});

describe("withRetry(): at any sequence of answers", () => {
  test("sends no more than maxAttempts, gives the first answer that is none of the statuses or the last, and closes the others", async () => {
    const outcome = fc.constantFrom(200, 404, 503, 429, "lost" as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(outcome, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 6 }),
        async (plan, maxAttempts) => {
          const given: Response[] = [];
          const { site, send } = retrying(
            plan.map((what) => () => {
              if (what === "lost") throw new ConnectionClosedError("lost", { safeToRetry: true });
              const response = new Response(`${what}`, { status: what });
              given.push(response);
              return response;
            }),
            { maxAttempts, budget: null, random: () => 0 },
          );
          const end = await send().catch((error: unknown) => error);
          const final = plan.findIndex((what) => what === 200 || what === 404);
          const sent = final >= 0 && final < maxAttempts ? final + 1 : maxAttempts;
          expect(site.seen).toHaveLength(sent);
          const last = plan[Math.min(sent, plan.length) - 1];
          if (last === "lost") expect(end).toBeInstanceOf(HttpError);
          else expect(await (end as Response).text()).toBe(`${last}`);
          for (const response of given) expect(response.bodyUsed).toBe(true); // closed, or read above
        },
      ),
    );
  });
});

describe("withRetry(): hooks and options", () => {
  test("what a hook throws is an exception of its own", async () => {
    const { site, send } = retrying([() => busy(), ok], {
      onRetry() {
        throw new Error("hook");
      },
    });
    const thrown = nextUncaught();
    expect((await settled(site.clock, send())).status).toBe(200);
    expect(((await thrown) as Error).message).toBe("hook");
  });

  test.each<[string, unknown, string]>([
    ["maxAttempt", 3, 'Unknown option "maxAttempt": did you mean maxAttempts?'],
    ["maxAttempts", 0, "Option maxAttempts must be a whole number, 1 or more: it is number"],
    ["baseDelay", -1, "Option baseDelay must be a number of milliseconds, 0 or more: it is number"],
    ["maxDelay", Number.NaN, "Option maxDelay must be a number of milliseconds, 0 or more: it is number"],
    ["statuses", [99], "Option statuses must be a list of statuses from 200 to 599: it is Array"],
    ["budget", {}, "Option budget must be a RetryBudget or null: it is Object"],
    ["idempotencyKey", "x", "Option idempotencyKey must be true, false or a function: it is string"],
    ["onRetry", 1, "Option onRetry must be a function or null: it is number"],
  ])("refuses %s: %j", (name, value, message) => {
    expect(() => withRetry(new TimedSite(ok), { [name]: value })).toThrow(new TypeError(message));
  });

  test("refuses what is no round tripper and what is no request", async () => {
    expect(() => withRetry({} as never)).toThrow(
      "Option next must be a Transport, or an object with roundTrip(): it is Object",
    );
    await expect(withRetry(new TimedSite(ok)).roundTrip("x" as never)).rejects.toThrow("Option request must be");
  });
});
