/** How `fetch` is redirected: methods, bodies, fields, limits; each row against the global one. */

import { differs, echoed, FAILED, type Row, settled, table } from "./oracle.ts";

type Init = RequestInit & { duplex?: "half" };

/** Method and body that arrive behind a redirect. */
const onward =
  (status: number, method: string, body?: string): Row[1] =>
  async ({ fetch, url }) => {
    const init = body === undefined ? { method } : { method, body };
    const echo = await echoed(fetch(`${url}/redirect/${status}?to=/echo`, init));
    return [echo.method, echo.body, echo.headers["content-type"] ?? null];
  };
const TEXT = "text/plain;charset=UTF-8";

/** The fields that arrive at another origin, or at the same. */
const carried =
  (headers: Record<string, string>, name: string, elsewhere: boolean): Row[1] =>
  async ({ fetch, url, other }) => {
    const to = encodeURIComponent(`${elsewhere ? other : url}/echo`);
    return (await echoed(fetch(`${url}/redirect/302?to=${to}`, { headers }))).headers[name];
  };

const stream = () =>
  new ReadableStream({
    start(c) {
      c.enqueue(new TextEncoder().encode("x"));
      c.close();
    },
  });
const streamed =
  (status: number, method: string): Row[1] =>
  async ({ fetch, url }) => {
    const init = { method, body: stream(), duplex: "half" } as Init;
    const { method: last, body } = await echoed(fetch(`${url}/redirect/${status}?to=/echo`, init));
    return [last, body];
  };

table("fetch follows redirects", [
  ...[301, 302, 303, 307, 308].map((status): Row => [`GET ${status}`, onward(status, "GET"), ["GET", "", null]]),
  ...[301, 302, 303].map(
    (status): Row => [`POST ${status} becomes GET`, onward(status, "POST", "x"), ["GET", "", null]],
  ),
  ...[307, 308].map((status): Row => [`POST ${status} stays`, onward(status, "POST", "x"), ["POST", "x", TEXT]]),
  ...[301, 302, 307, 308].map((status): Row => [`PUT ${status} stays`, onward(status, "PUT", "x"), ["PUT", "x", TEXT]]),
  ["PUT 303 becomes GET", onward(303, "PUT", "x"), ["GET", "", null]],
  ...[301, 302, 307].map((status): Row => [`DELETE ${status} stays`, onward(status, "DELETE"), ["DELETE", "", null]]),
  ["DELETE 303 becomes GET", onward(303, "DELETE"), ["GET", "", null]],
  ["PATCH 302 stays", onward(302, "PATCH", "x"), ["PATCH", "x", TEXT]],
  [
    "HEAD 302 stays",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/redirect/302?to=/text`, { method: "HEAD" });
      return [response.status, response.redirected, response.body];
    },
    [200, true, null],
  ],
  [
    "HEAD 303 stays",
    async ({ fetch, url }) => (await fetch(`${url}/redirect/303?to=/text`, { method: "HEAD" })).body,
    null,
  ],
  ...[300, 304, 305, 306].map(
    (status): Row => [
      `${status} is an answer`,
      async ({ fetch, url }) => (await fetch(`${url}/redirect/${status}?to=/text`)).status,
      status,
    ],
  ),
  [
    "the last URL",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/redirect/302?to=/text%3Fa=b`);
      return [response.redirected, response.url === `${url}/text?a=b`];
    },
    [true, true],
  ],
  [
    "to another origin",
    async ({ fetch, url, other }) => {
      const response = await fetch(`${url}/redirect/302?to=${encodeURIComponent(`${other}/text`)}`);
      return [response.url === `${other}/text`, await response.text()];
    },
    [true, "hello"],
  ],
  [
    "the type of an answer from another origin",
    async ({ fetch, url, other }) =>
      (await fetch(`${url}/redirect/302?to=${encodeURIComponent(`${other}/text`)}`)).type,
    differs("basic", "cors", "no page has an origin here, so no answer is across one"),
  ],
  [
    "a Location without host",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/redirect/302?to=../echo`))).path,
    "/echo",
  ],
  [
    "no Location is an answer",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/redirect/302`);
      return [response.status, response.redirected, await response.text()];
    },
    [302, false, "moved"],
  ],
  ["a Location that is no URL", ({ fetch, url }) => fetch(`${url}/redirect/302?to=http://[`), FAILED],
  ["to file:", ({ fetch, url }) => fetch(`${url}/redirect/302?to=file:///etc/passwd`), FAILED],
  ["to data:", ({ fetch, url }) => fetch(`${url}/redirect/302?to=data:,x`), FAILED],
  ["to about:", ({ fetch, url }) => fetch(`${url}/redirect/302?to=about:blank`), FAILED],
  ["to a blocked port", ({ fetch, url }) => fetch(`${url}/redirect/302?to=http://127.0.0.1:6667/`), FAILED],
  [
    "to credentials elsewhere",
    ({ fetch, url, other }) =>
      fetch(`${url}/redirect/302?to=${encodeURIComponent(`${other.replace("//", "//u:p@")}/text`)}`),
    FAILED,
  ],
  ["to where nobody listens", ({ fetch, url }) => fetch(`${url}/redirect/302?to=http://127.0.0.1:2/`), FAILED],
  ["20 times", async ({ fetch, url }) => (await fetch(`${url}/count/20`)).text(), "arrived"],
  ["21 times is too often", ({ fetch, url }) => fetch(`${url}/count/21`), FAILED],
  ["the caller's own fields go along", carried({ "x-a": "1" }, "x-a", true), "1"],
  ["Authorization stays at its origin", carried({ authorization: "x" }, "authorization", true), undefined],
  ["Authorization within its origin", carried({ authorization: "x" }, "authorization", false), "x"],
  ["Cookie stays at its origin", carried({ cookie: "a=1" }, "cookie", true), undefined],
  ["Cookie within its origin", carried({ cookie: "a=1" }, "cookie", false), "a=1"],
  [
    "X-Api-Key stays at its origin",
    carried({ "x-api-key": "x" }, "x-api-key", true),
    differs(undefined, "x", "it opens doors like Authorization does"),
  ],
  ["no Referer is made up", carried({}, "referer", false), undefined],
  ["a Referer of the caller's goes along", carried({ referer: "http://a/" }, "referer", false), "http://a/"],
  [
    "POST 303 drops what speaks of the body",
    async ({ fetch, url }) => {
      const init = { method: "POST", body: "x", headers: { "content-type": "a/b", "content-language": "en" } };
      const { headers } = await echoed(fetch(`${url}/redirect/303?to=/echo`, init));
      return [headers["content-type"], headers["content-language"], headers["content-length"]];
    },
    [undefined, undefined, undefined],
  ],
  ["a stream and 303", streamed(303, "POST"), ["GET", ""]],
  ["a stream and 307", streamed(307, "POST"), FAILED],
  ["a stream and 302", streamed(302, "POST"), FAILED],
  ["a stream, PUT and 301", streamed(301, "PUT"), FAILED],
  [
    "a Blob and 307",
    async ({ fetch, url }) =>
      (await echoed(fetch(`${url}/redirect/307?to=/echo`, { method: "POST", body: new Blob(["blob"]) }))).body,
    "blob",
  ],
  [
    "a standard Request's text and 307",
    async ({ fetch, url }) =>
      (await echoed(fetch(new Request(`${url}/redirect/307?to=/echo`, { method: "POST", body: "text" })))).body,
    differs(
      FAILED,
      "text",
      "a standard Request shows its body as a stream only, which goes out once; a Request of ours can be sent again",
    ),
  ],
  [
    "the fragment is inherited, and not shown",
    async ({ fetch, url }) => (await fetch(`${url}/redirect/302?to=/text#part`)).url === `${url}/text`,
    true,
  ],
  [
    "an abort between hops",
    async ({ fetch, url, events }) => {
      const controller = new AbortController();
      events.once("/never", () => controller.abort());
      return fetch(`${url}/redirect/302?to=/never`, { signal: controller.signal });
    },
    "rejects AbortError",
  ],
]);

table('fetch(input, { redirect: "manual" })', [
  [
    "the 3xx is the answer",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/redirect/302?to=/text`, { redirect: "manual" });
      return [
        response.status,
        response.type,
        response.redirected,
        response.headers.get("location"),
        await response.text(),
      ];
    },
    [302, "basic", false, "/text", "moved"],
  ],
  [
    "of a standard Request",
    async ({ fetch, url }) => (await fetch(new Request(`${url}/redirect/302?to=/text`, { redirect: "manual" }))).status,
    302,
  ],
  [
    "the init wins over the Request",
    async ({ fetch, url }) =>
      (await fetch(new Request(`${url}/redirect/302?to=/text`, { redirect: "manual" }), { redirect: "follow" })).status,
    200,
  ],
  [
    "without a Location",
    async ({ fetch, url }) => (await fetch(`${url}/redirect/302`, { redirect: "manual" })).status,
    302,
  ],
  [
    "a stream and 307",
    async ({ fetch, url }) =>
      (
        await fetch(`${url}/redirect/307?to=/echo`, {
          method: "POST",
          body: stream(),
          duplex: "half",
          redirect: "manual",
        } as Init)
      ).status,
    307,
  ],
]);

table('fetch(input, { redirect: "error" })', [
  ["a 3xx fails the call", ({ fetch, url }) => fetch(`${url}/redirect/302?to=/text`, { redirect: "error" }), FAILED],
  ["without a Location too", ({ fetch, url }) => fetch(`${url}/redirect/302`, { redirect: "error" }), FAILED],
  [
    "any other answer does not",
    async ({ fetch, url }) => (await fetch(`${url}/text`, { redirect: "error" })).status,
    200,
  ],
  [
    "of a standard Request",
    ({ fetch, url }) => settled(fetch(new Request(`${url}/redirect/302?to=/text`, { redirect: "error" }))),
    FAILED,
  ],
]);
