/** Hooks: their order, what they may replace, and what becomes of what they throw. */

import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { Client, Request, Response } from "../../lib/index.ts";
import { compose, type Hooks, type Wrap, withHooks, withRetry } from "../../lib/middleware.ts";
import { gated } from "../cache/harness.ts";
import { errorOf, ORIGIN, settled, TimedSite, world } from "./harness.ts";

const ok = () => new Response("ok");

/** A set of hooks that only writes down that it was called. */
function logging(name: string, log: string[]): Hooks {
  return {
    onRequest: ({ method }) => void log.push(`${name} request ${method}`),
    onResponse: ({ status }) => void log.push(`${name} response ${status}`),
    onError: (error) => void log.push(`${name} error ${(error as Error).message}`),
  };
}

describe("withHooks()", () => {
  test("calls onRequest from the outside in, onResponse from the inside out", async () => {
    const log: string[] = [];
    const site = new TimedSite(() => {
      log.push("sent");
      return ok();
    });
    const wrap =
      (name: string): Wrap =>
      (next) =>
        withHooks(next, logging(name, log));
    const stack = compose(wrap("outer"), wrap("inner"))(site);
    await stack.roundTrip(new Request(ORIGIN));
    expect(log).toEqual(["outer request GET", "inner request GET", "sent", "inner response 200", "outer response 200"]);
  });

  test("calls onError of each, from the inside out, and the error stays the same", async () => {
    const log: string[] = [];
    const failed = new Error("down");
    const site = new TimedSite(() => Promise.reject(failed));
    const stack = withHooks(withHooks(site, logging("inner", log)), logging("outer", log));
    expect(await errorOf(stack.roundTrip(new Request(ORIGIN)))).toBe(failed);
    expect(log.slice(2)).toEqual(["inner error down", "outer error down"]);
  });

  test("within a retry policy they see each attempt, around one the call", async () => {
    const log: string[] = [];
    const site = new TimedSite((_, count) => (count === 0 ? new Response(null, { status: 503 }) : ok()));
    const stack = withHooks(withRetry(withHooks(site, logging("attempt", log))), logging("call", log));
    await settled(site.clock, stack.roundTrip(new Request(ORIGIN)));
    expect(log).toEqual([
      "call request GET",
      "attempt request GET",
      "attempt response 503",
      "attempt request GET",
      "attempt response 200",
      "call response 200",
    ]);
  });

  test("onRequest may put another request in the place of the first, which stays as it is", async () => {
    const site = new TimedSite(ok);
    const transport = withHooks(site, {
      onRequest: async (request) => request.with({ headers: [...request.headers.raw, ["X-Id", "7"]] }),
    });
    const request = new Request(ORIGIN, { method: "POST", json: [1], headers: { A: "b" } });
    await transport.roundTrip(request);
    expect(site.seen[0]?.request.headers.raw).toEqual([
      ["Content-Type", "application/json"],
      ["A", "b"],
      ["X-Id", "7"],
    ]);
    expect(site.steps).toEqual(['POST "[1]"']);
    expect(request.headers.has("x-id")).toBe(false);
  });

  test("onResponse may put another answer in the place of the first", async () => {
    const site = new TimedSite(ok);
    const transport = withHooks(site, {
      onResponse: async (response, request) => new Response(`${await response.text()} of ${request.method}`),
    });
    expect(await (await transport.roundTrip(new Request(ORIGIN))).text()).toBe("ok of GET");
  });

  test("onError may answer, or throw another error in the place of the first", async () => {
    const site = new TimedSite(() => Promise.reject(new Error("down")));
    const answering = withHooks(site, { onError: () => new Response("fallback") });
    expect(await (await answering.roundTrip(new Request(ORIGIN))).text()).toBe("fallback");
    const cause = await errorOf(
      withHooks(site, {
        onError(error) {
          throw new Error("ours", { cause: error });
        },
      }).roundTrip(new Request(ORIGIN)),
    );
    expect([cause.message, (cause.cause as Error).message]).toEqual(["ours", "down"]);
  });

  test("what onRequest throws fails the call before anything is sent; no other hook hears of it, and the body is given up", async () => {
    const log: string[] = [];
    const site = new TimedSite(ok);
    const body = Readable.from(["x"]);
    const transport = withHooks(site, {
      ...logging("own", log),
      onRequest() {
        throw new Error("no");
      },
    });
    expect((await errorOf(transport.roundTrip(new Request(ORIGIN, { method: "POST", body })))).message).toBe("no");
    expect([site.seen.length, log, body.destroyed]).toEqual([0, [], true]);
  });

  test("what onResponse throws fails the call and closes the answer, whose connection lives on", async () => {
    const { clock, transport } = world(() => ({ body: "x".repeat(200_000) }));
    const failing = withHooks(transport, {
      async onResponse() {
        throw new Error("no");
      },
    });
    expect((await errorOf(settled(clock, failing.roundTrip(new Request(ORIGIN))))).message).toBe("no");
    await clock.settle();
    const response = await settled(clock, transport.roundTrip(new Request(ORIGIN)));
    expect(response.connection).toMatchObject({ reused: true });
    await response.close();
    await transport.destroy();
  });

  test("the body of a request that is replaced is given up, unless the other takes it along", async () => {
    const site = new TimedSite(ok);
    const bodies = [Readable.from(["one"]), Readable.from(["two"])];
    const replaced = withHooks(site, { onRequest: (request) => request.with({ body: "other" }) });
    await replaced.roundTrip(new Request(ORIGIN, { method: "POST", body: bodies[0] }));
    const kept = withHooks(site, { onRequest: (request) => request.with({ method: "PUT" }) });
    await kept.roundTrip(new Request(ORIGIN, { method: "POST", body: bodies[1] }));
    expect(site.steps).toEqual(['POST "other"', 'PUT "two"']);
    expect(bodies[0]?.destroyed).toBe(true);
  });

  test("an abort or the deadline ends the wait for a hook, and what comes later is given up", async () => {
    const site = new TimedSite(ok);
    const gate = gated<Request>();
    const controller = new AbortController();
    const transport = withHooks(site, { onRequest: () => gate.promise });
    const aborted = transport.roundTrip(new Request(ORIGIN), { signal: controller.signal });
    const late = errorOf(transport.roundTrip(new Request(ORIGIN), { deadline: { at: 50, limit: 50 } }));
    controller.abort("enough");
    await expect(aborted).rejects.toBe("enough");
    await site.clock.advance(50);
    expect(await late).toMatchObject({ code: "ERR_HTTP_TIMEOUT", phase: "total", limit: 50 });
    const body = Readable.from(["late"]);
    gate.resolve(new Request(ORIGIN, { method: "POST", body }));
    await site.clock.settle();
    expect([body.destroyed, site.seen.length, site.clock.armed]).toEqual([true, 0, 0]);
  });

  test("an abort while onResponse runs closes the answer, and one that the hook gives later", async () => {
    const answers: Response[] = [];
    const site = new TimedSite(() => {
      answers.push(ok());
      return answers[0] as Response;
    });
    const gate = gated<Response>();
    const controller = new AbortController();
    const transport = withHooks(site, { onResponse: () => gate.promise });
    const call = transport.roundTrip(new Request(ORIGIN), { signal: controller.signal });
    await site.clock.settle();
    controller.abort("enough");
    await expect(call).rejects.toBe("enough");
    const late = ok();
    gate.resolve(late);
    await site.clock.settle();
    await expect(answers[0]?.text()).rejects.toThrow("closed");
    await expect(late.text()).rejects.toThrow("closed");
  });

  test("a Client's redirects and its fetch go through them, hop by hop", async () => {
    const log: string[] = [];
    const site = new TimedSite((_, count) =>
      count === 0 ? new Response(null, { status: 302, headers: { Location: "/there" } }) : ok(),
    );
    const transport = withHooks(site, {
      onRequest: ({ url }, call) => void log.push(`${call?.hop ?? 0} ${url}`),
    });
    const response = await new Client({ transport }).fetch(`${ORIGIN}/here`);
    expect([response.redirected, await response.text()]).toEqual([true, "ok"]);
    expect(log).toEqual([`0 ${ORIGIN}/here`, `1 ${ORIGIN}/there`]);
  });

  test("refuses what no hook may give, and hooks that do not exist", async () => {
    const site = new TimedSite(ok);
    const wrong = (hooks: object) => errorOf(withHooks(site, hooks as Hooks).roundTrip(new Request(ORIGIN)));
    expect((await wrong({ onRequest: () => "x" })).message).toBe(
      "Hook onRequest must give a Request or nothing: it gave string",
    );
    expect((await wrong({ onResponse: () => ({}) })).message).toContain("a Response or nothing");
    expect(() => withHooks(site, { onrequest() {} } as never)).toThrow(
      'Unknown option "onrequest": did you mean onRequest?',
    );
    expect(() => withHooks(site, { onError: 1 } as never)).toThrow("Option onError must be a function: it is number");
  });

  test("close(), destroy() and closeIdleConnections() are those of what is within; what has none of them is left alone", async () => {
    const site = new TimedSite(ok);
    const transport = withHooks(withRetry(site), {});
    transport.closeIdleConnections();
    await transport.close();
    await transport.destroy("why");
    expect(site.closed).toEqual(["idle", "close", "destroy why"]);
    const bare = withHooks({ roundTrip: async () => ok() }, {});
    bare.closeIdleConnections();
    await bare.destroy();
    await bare[Symbol.asyncDispose]();
  });
});
