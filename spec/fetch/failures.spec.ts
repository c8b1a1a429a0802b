/** How `fetch` ends before its time: aborts at every point, and peers that fail; each row against the global one. */

import { once } from "node:events";
import { createServer } from "node:net";
import { turns } from "../support/loop.ts";
import { differs, FAILED, REASON, REFUSED, type Row, raw, settled, table } from "./oracle.ts";

interface Cause {
  readonly name: string;
  readonly code?: string;
  readonly cause?: { readonly code?: string };
}
type Init = RequestInit & { duplex?: "half" };

/** Aborts with the reason when that event comes. */
const abortedAt =
  (event: string, path: string): Row[1] =>
  ({ fetch, url, events }) => {
    const controller = new AbortController();
    events.once(event, () => controller.abort(REASON));
    return fetch(`${url}${path}`, { signal: controller.signal });
  };

const cause =
  (path: string, show: (cause: Cause) => unknown): Row[1] =>
  ({ fetch, url }) =>
    fetch(path.startsWith("/") ? `${url}${path}` : path).then(
      () => "an answer",
      (error: TypeError) => show(error.cause as Cause),
    );

table("fetch(input, { signal })", [
  [
    "aborted before",
    ({ fetch, url }) => fetch(`${url}/text`, { signal: AbortSignal.abort(REASON) }),
    "rejects the reason",
  ],
  [
    "aborted before, without a reason",
    ({ fetch, url }) => fetch(`${url}/text`, { signal: AbortSignal.abort() }),
    "rejects AbortError",
  ],
  [
    "aborted before, and the request is wrong",
    ({ fetch, url }) => fetch(`${url}/text`, { body: "x", signal: AbortSignal.abort(REASON) }),
    REFUSED,
  ],
  [
    "aborted before with undefined",
    ({ fetch, url }) => fetch(`${url}/text`, { signal: AbortSignal.abort(undefined) }),
    "rejects AbortError",
  ],
  [
    "aborted with a text",
    ({ fetch, url }) => fetch(`${url}/text`, { signal: AbortSignal.abort("text") }),
    "rejects text",
  ],
  ["aborted with null", ({ fetch, url }) => fetch(`${url}/text`, { signal: AbortSignal.abort(null) }), "rejects null"],
  [
    "aborted at once after the call",
    ({ fetch, url }) => {
      const controller = new AbortController();
      const call = fetch(`${url}/never`, { signal: controller.signal });
      controller.abort(REASON);
      return call;
    },
    "rejects the reason",
  ],
  ["aborted when the request has come", abortedAt("/never", "/never"), "rejects the reason"],
  [
    "aborted while the body is sent",
    ({ fetch, url, events }) => {
      const controller = new AbortController();
      events.once("chunk", () => controller.abort(REASON));
      // One chunk a turn: the oracle never lets the loop go on while a stream has more.
      const body = new ReadableStream({
        async pull(c) {
          await turns(1);
          c.enqueue(new Uint8Array(10));
        },
      });
      return fetch(`${url}/echo`, { method: "POST", duplex: "half", body, signal: controller.signal } as Init);
    },
    "rejects the reason",
  ],
  [
    "a timeout's reason",
    ({ fetch, url }) => fetch(`${url}/never`, { signal: AbortSignal.timeout(5) }),
    "rejects TimeoutError",
  ],
  [
    "any of two",
    ({ fetch, url, events }) => {
      const controller = new AbortController();
      events.once("/never", () => controller.abort(REASON));
      return fetch(`${url}/never`, { signal: AbortSignal.any([controller.signal, new AbortController().signal]) });
    },
    "rejects the reason",
  ],
  [
    "of a standard Request",
    ({ fetch, url, events }) => {
      const controller = new AbortController();
      events.once("/never", () => controller.abort(REASON));
      return fetch(new Request(`${url}/never`, { signal: controller.signal }));
    },
    "rejects the reason",
  ],
  [
    "of the init, over that of the Request",
    ({ fetch, url }) => {
      const request = new Request(`${url}/text`, { signal: AbortSignal.abort("the Request's") });
      return fetch(request, { signal: AbortSignal.abort(REASON) });
    },
    "rejects the reason",
  ],
  [
    "null takes that of the Request away",
    async ({ fetch, url }) =>
      (await fetch(new Request(`${url}/text`, { signal: AbortSignal.abort(REASON) }), { signal: null })).status,
    200,
  ],
  [
    "the server sees it",
    async ({ fetch, url, events }) => {
      const gone = new Promise((resolve) => events.once("gone:/never", () => resolve("gone")));
      const controller = new AbortController();
      events.once("/never", () => controller.abort(REASON));
      return [await settled(fetch(`${url}/never`, { signal: controller.signal })), await gone];
    },
    ["rejects the reason", "gone"],
  ],
  [
    "ends the body, too",
    async ({ fetch, url }) => {
      const controller = new AbortController();
      const response = await fetch(`${url}/half`, { signal: controller.signal });
      const text = settled(response.text());
      controller.abort(REASON);
      return text;
    },
    "rejects the reason",
  ],
  [
    "ends a body that nobody reads yet",
    async ({ fetch, url }) => {
      const controller = new AbortController();
      const response = await fetch(`${url}/half`, { signal: controller.signal });
      controller.abort(REASON);
      return settled(response.text());
    },
    differs("rejects the reason", "rejects AbortError", "the standard: a body ends with the signal's reason"),
  ],
  [
    "ends a read of the stream",
    async ({ fetch, url }) => {
      const controller = new AbortController();
      const reader = (
        (await fetch(`${url}/half`, { signal: controller.signal })).body as ReadableStream<Uint8Array>
      ).getReader();
      const first = await reader.read();
      const second = settled(reader.read());
      controller.abort(REASON);
      return [Buffer.from(first.value ?? []).toString(), await second];
    },
    ["half", "rejects the reason"],
  ],
  [
    "ends both of two clones",
    async ({ fetch, url }) => {
      const controller = new AbortController();
      const response = await fetch(`${url}/half`, { signal: controller.signal });
      const texts = [settled(response.clone().text()), settled(response.text())];
      controller.abort(REASON);
      return Promise.all(texts);
    },
    ["rejects the reason", "rejects the reason"],
  ],
  [
    "after the body was read it does nothing",
    async ({ fetch, url }) => {
      const controller = new AbortController();
      const response = await fetch(`${url}/text`, { signal: controller.signal });
      const text = await response.text();
      controller.abort(REASON);
      return [text, response.status];
    },
    ["hello", 200],
  ],
  [
    "after the last byte came, and before it is read",
    async ({ fetch, url }) => {
      const controller = new AbortController();
      const response = await fetch(`${url}/text`, { signal: controller.signal });
      const copy = response.clone();
      await copy.text();
      controller.abort(REASON);
      return settled(response.text());
    },
    differs("hello", "rejects TypeError", "what came whole stays readable: the call was over, and took nothing more"),
  ],
  [
    "cancels the stream that is sent",
    async ({ fetch, url, events }) => {
      const controller = new AbortController();
      events.once("/never", () => controller.abort(REASON));
      let cancelled: unknown = "never";
      const body = new ReadableStream({
        start: (c) => c.enqueue(new Uint8Array(1)),
        cancel(reason) {
          cancelled = reason === REASON;
        },
      });
      const end = await settled(
        fetch(`${url}/never`, { method: "POST", body, duplex: "half", signal: controller.signal } as Init),
      );
      await turns(2);
      return [end, cancelled];
    },
    differs(
      ["rejects the reason", true],
      ["rejects the reason", "never"],
      "the standard cancels it; its producer must not wait for ever",
    ),
  ],
  [
    "does not touch another call",
    async ({ fetch, url, events }) => {
      const controller = new AbortController();
      events.once("/never", () => controller.abort(REASON));
      const [first, second] = await Promise.all([
        settled(fetch(`${url}/never`, { signal: controller.signal })),
        fetch(`${url}/text`),
      ]);
      return [first, await second.text()];
    },
    ["rejects the reason", "hello"],
  ],
  [
    "shared by twenty calls",
    async ({ fetch, url, events }) => {
      const controller = new AbortController();
      let came = 0;
      const count = (): void => {
        if (++came === 20) controller.abort(REASON);
      };
      events.on("/never", count);
      const ends = await Promise.all(
        Array.from({ length: 20 }, () => settled(fetch(`${url}/never`, { signal: controller.signal }))),
      );
      events.off("/never", count);
      return new Set(ends).size;
    },
    1,
  ],
]);

table("fetch(input) fails", [
  [
    "where nobody listens",
    async ({ fetch }) => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as { port: number };
      await new Promise((resolve) => server.close(resolve));
      return fetch(`http://127.0.0.1:${port}/`);
    },
    FAILED,
  ],
  [
    "the cause where nobody listens",
    cause("http://127.0.0.1:2/", ({ name, code }) => [name, code]),
    differs(
      ["DialError", "ERR_HTTP_DIAL"],
      ["Error", "ECONNREFUSED"],
      "the cause is an HttpError with every address tried; the system's own error is its cause",
    ),
  ],
  [
    "the system's error where nobody listens",
    cause("http://127.0.0.1:2/", (error) => [error.code, error.cause?.code].includes("ECONNREFUSED")),
    true,
  ],
  ["where the name is unknown", ({ fetch }) => fetch("http://name.invalid/"), FAILED],
  ["where the connection ends before an answer", ({ fetch, url }) => fetch(`${url}/reset`), FAILED],
  [
    "the cause there",
    cause("/reset", ({ name, code }) => [name, code]),
    differs(
      ["ConnectionClosedError", "ERR_HTTP_CONNECTION_CLOSED"],
      ["SocketError", "UND_ERR_SOCKET"],
      "the class says what a caller can decide on, its fields how much was sent",
    ),
  ],
  ["where the answer is no HTTP", ({ fetch, url }) => fetch(`${url}${raw("hello\r\n\r\n")}`), FAILED],
  [
    "the cause there, by name",
    cause(raw("hello\r\n\r\n"), ({ name }) => name),
    differs("RemoteProtocolError", "HTTPParserError", "as above, with the offset and the bytes around it"),
  ],
  ["where the head is cut", ({ fetch, url }) => fetch(`${url}${raw("HTTP/1.1 200 OK\r\nContent-")}`), FAILED],
  [
    "where the length is no number",
    ({ fetch, url }) => fetch(`${url}${raw("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")}`),
    FAILED,
  ],
  [
    "where two lengths differ",
    ({ fetch, url }) => fetch(`${url}${raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx")}`),
    FAILED,
  ],
  [
    "where a field has NUL",
    ({ fetch, url }) => fetch(`${url}${raw("HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 0\r\n\r\n")}`),
    FAILED,
  ],
  [
    "where the head is too long",
    ({ fetch, url }) => fetch(`${url}/status/200?reason=${"x".repeat(10)}`).then(({ status }) => status),
    200,
  ],
  ["where TLS is spoken to plain HTTP", ({ fetch, url }) => fetch(url.replace("http:", "https:")), FAILED],
  [
    "where chunks are broken",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}${raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}`);
      return settled(response.text());
    },
    differs(
      "rejects RemoteProtocolError",
      "rejects TypeError",
      "one Response for all: a body fails with the class that has the facts",
    ),
  ],
  [
    "and the message is a TypeError's, of this realm",
    ({ fetch, url }) => fetch(`${url}/reset`).catch((error) => [error instanceof TypeError, error.message]),
    [true, "fetch failed"],
  ],
  [
    "in a rejection, never by a throw",
    ({ fetch }) => {
      const call = fetch(Symbol("x") as never);
      return call.then(
        () => "an answer",
        (error) => error instanceof TypeError,
      );
    },
    true,
  ],
  [
    "where the caller's own code throws",
    ({ fetch, url }) => {
      const headers = {
        get "x-a"(): string {
          throw REASON;
        },
      };
      return fetch(`${url}/text`, { headers });
    },
    "rejects the reason",
  ],
  [
    "where a member of the init throws",
    ({ fetch, url }) =>
      fetch(`${url}/text`, {
        get method(): string {
          throw REASON;
        },
      }),
    "rejects the reason",
  ],
]);
