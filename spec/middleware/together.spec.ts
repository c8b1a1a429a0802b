/** All of them around a transport, over the loopback; and what each leaves alone. */

import { describe, expect, test } from "vitest";
import { Client, Request, Response, type RoundTripCall, type RoundTripper, Transport } from "../../lib/index.ts";
import {
  BaseUrlClient,
  compose,
  type Wrap,
  withBaseUrl,
  withBasicAuth,
  withBearerAuth,
  withDigestAuth,
  withHooks,
  withProgress,
  withRetry,
} from "../../lib/middleware.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { DigestServer } from "./digest-server.ts";
import { ORIGIN, TimedSite } from "./harness.ts";

checkLeaks();

const ALL: [string, Wrap][] = [
  ["withRetry", (next) => withRetry(next)],
  ["withHooks", (next) => withHooks(next, { onRequest() {}, onResponse() {}, onError() {} })],
  ["withBaseUrl", (next) => withBaseUrl(next, ORIGIN)],
  ["withBasicAuth", (next) => withBasicAuth(next, { username: "a", password: "b", origins: ORIGIN, allowHttp: true })],
  ["withBearerAuth", (next) => withBearerAuth(next, { token: "t", origins: ORIGIN, allowHttp: true })],
  ["withDigestAuth", (next) => withDigestAuth(next, { username: "a", password: "b", origins: ORIGIN })],
  ["withProgress", (next) => withProgress(next, { onUpload() {}, onDownload() {} })],
];

describe.each(ALL)("%s()", (_, wrap) => {
  test("hands the call on as it is, and gives the very answer", async () => {
    const given: Response[] = [];
    const site = new TimedSite(() => {
      given.push(new Response("x"));
      return given[0] as Response;
    });
    const call: RoundTripCall = { hop: 2, trace: () => {}, onInformation: () => {}, bodyTimeout: 7 };
    const transport = wrap(site) as RoundTripper & { clock: unknown };
    expect(await transport.roundTrip(new Request(ORIGIN), call)).toBe(given[0]);
    expect(site.seen[0]?.call).toBe(call);
    expect(transport.clock).toBe(site.clock);
  });

  test("refuses what is no round tripper, and takes one that is no class of ours", async () => {
    expect(() => wrap({} as RoundTripper)).toThrow("Option next must be a Transport");
    const answer = new Response("x");
    expect(await wrap({ roundTrip: async () => answer }).roundTrip(new Request(ORIGIN))).toBe(answer);
  });

  test("gives up a body that can be read once where the call was aborted before", async () => {
    const site = new TimedSite(() => new Response("x"));
    let returned = false;
    const body = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: "x" }),
        return: async () => {
          returned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const call = wrap(site).roundTrip(new Request(ORIGIN, { method: "POST", body }), {
      signal: AbortSignal.abort("over"),
    });
    await expect(call).rejects.toBe("over");
    expect([returned, site.seen.length]).toEqual([true, 0]);
  });
});

test("compose() of nothing is what it is given, and takes functions only", () => {
  const site = new TimedSite(() => new Response());
  expect(compose()(site)).toBe(site);
  expect(() => compose(site as never)).toThrow("Option wraps must be functions");
});

test("all of them together over one connection: a refusal, a stale nonce, an upload told, paths under a base", async () => {
  await using server = await new DigestServer({ uses: 1 }).listen();
  const transport = new Transport();
  const log: string[] = [];
  const credentials = { username: "ann", password: 's3cret, "it" is', origins: server.origin };
  const stack = compose(
    (next) =>
      withHooks(next, {
        onResponse: ({ status }, { method, target }) => void log.push(`${method} ${target} ${status}`),
      }),
    (next) => withRetry(next),
    (next) => withBaseUrl(next, `${server.origin}/v1`),
    (next) => withDigestAuth(next, credentials),
    (next) =>
      withProgress(next, { onUpload: ({ state, bytes }) => void (state === "going" || log.push(`${bytes} ${state}`)) }),
  )(transport);
  const api = new BaseUrlClient(`${server.origin}/v1`, { transport: stack });
  expect(await (await api.post("one", { body: "x".repeat(100_000) })).text()).toBe("hello, 100000 bytes");
  expect(await (await api.fetch("two")).text()).toBe("hello, 0 bytes");
  await expect(new Client({ transport: stack }).get(server.origin)).rejects.toThrow("is not under");
  expect(server.log).toEqual(["401 new", "200", "401 stale", "200"]);
  expect(log).toEqual(["100000 complete", "100000 complete", "POST /v1/one 200", "GET /v1/two 200"]);
  expect(server.sockets).toBe(1);
  await api.close(); // it was given its transport
  await stack.roundTrip(new Request(`${server.origin}/v1/`)).then((response) => response.close());
  await transport.close();
});
