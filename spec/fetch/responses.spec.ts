/** What `fetch` gives: facts, fields, bodies in every form, clones, data: URLs, integrity; each row against the global one. */

import { createHash } from "node:crypto";
import { differs, FAILED, REFUSED, type Row, raw, rejection, settled, table } from "./oracle.ts";

const hello = (algorithm: string) => `${algorithm}-${createHash(algorithm).update("hello").digest("base64")}`;
const SAME_CONTENT = "its content is decoded, so fields about the coded content would be wrong; headers.raw has them";

const status =
  (code: number): Row[1] =>
  async ({ fetch, url }) => {
    const response = await fetch(`${url}/status/${code}`);
    return [response.status, response.ok, response.body === null, await response.text()];
  };

const integrity =
  (text: string): Row[1] =>
  async ({ fetch, url }) => {
    const response = await fetch(`${url}/text`, { integrity: text });
    return [response.status, await response.text()];
  };

const data =
  (url: string): Row[1] =>
  async ({ fetch }) => {
    const response = await fetch(url);
    return [response.headers.get("content-type"), Buffer.from(await response.arrayBuffer()).toString("latin1")];
  };

const blobType =
  (type: string): Row[1] =>
  async ({ fetch, url }) =>
    (await (await fetch(`${url}/text?type=${encodeURIComponent(type)}`)).blob()).type;

table("the Response of fetch", [
  [
    "says what it is",
    async ({ fetch, url }) => {
      const { status, statusText, ok, type, redirected, bodyUsed } = await fetch(`${url}/text`);
      return [status, statusText, ok, type, redirected, bodyUsed];
    },
    [200, "OK", true, "basic", false, false],
  ],
  ["has the URL", async ({ fetch, url }) => (await fetch(`${url}/text?a=b`)).url === `${url}/text?a=b`, true],
  [
    "has the URL without its fragment",
    async ({ fetch, url }) => (await fetch(`${url}/text#part`)).url === `${url}/text`,
    true,
  ],
  [
    "has the reason phrase",
    async ({ fetch, url }) => (await fetch(`${url}/status/200?reason=Very%20well`)).statusText,
    "Very well",
  ],
  [
    "has no reason phrase where none came",
    async ({ fetch, url }) => (await fetch(`${url}${raw("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")}`)).statusText,
    "",
  ],
  ["201", status(201), [201, true, false, ""]],
  ["204 has no body", status(204), [204, true, true, ""]],
  [
    "205 has no body",
    status(205),
    differs(
      [205, true, false, ""],
      [205, true, true, ""],
      "RFC 9112 §6.3: on the wire a 205 has a body, if an empty one",
    ),
  ],
  ["304 has no body", status(304), [304, false, true, ""]],
  ["404 is an answer", status(404), [404, false, false, ""]],
  ["500 is an answer", status(500), [500, false, false, ""]],
  ["599 is an answer", status(599), [599, false, false, ""]],
  ["an empty body is one", async ({ fetch, url }) => (await fetch(`${url}/text?hex=`)).body === null, false],
  [
    "100 and 103 come before it",
    async ({ fetch, url }) =>
      (
        await fetch(
          `${url}${raw("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")}`,
        )
      ).text(),
    "ok",
  ],
  [
    "HTTP/1.0 is read to its close",
    async ({ fetch, url }) => (await fetch(`${url}${raw("HTTP/1.0 200 OK\r\n\r\nold")}`)).text(),
    "old",
  ],
  [
    "prints as a Response",
    async ({ fetch, url }) => Object.prototype.toString.call(await fetch(`${url}/text`)),
    "[object Response]",
  ],
  [
    "is no instance of the global class",
    async ({ fetch, url }) => (await fetch(`${url}/text`)) instanceof Response,
    differs(false, true, "the global class is undici's, and naming it would load undici; the shape is the same"),
  ],
]);

table("response.headers", [
  ["get joins", async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.get("x-twice"), "1, 2"],
  ["get takes any case", async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.get("X-TWICE"), "1, 2"],
  ["get of nothing is null", async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.get("x-none"), null],
  ["get of a bad name throws", async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.get("x none"), REFUSED],
  [
    "has",
    async ({ fetch, url }) => {
      const { headers } = await fetch(`${url}/fields`);
      return [headers.has("x-twice"), headers.has("x-none")];
    },
    [true, false],
  ],
  [
    "getSetCookie splits",
    async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.getSetCookie(),
    ["a=1", "b=2"],
  ],
  [
    "get of Set-Cookie joins",
    async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.get("set-cookie"),
    "a=1, b=2",
  ],
  [
    "values lose their outer blanks",
    async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.get("x-blank"),
    differs("x", "x  ", "RFC 9110 §5.5: blanks around a value are no part of it"),
  ],
  ["an empty value is one", async ({ fetch, url }) => (await fetch(`${url}/fields`)).headers.get("x-empty"), ""],
  [
    "latin1 stays",
    async ({ fetch, url }) =>
      (await fetch(`${url}${raw("HTTP/1.1 200 OK\r\nX-A: caf\u00e9\r\nContent-Length: 0\r\n\r\n")}`)).headers.get(
        "x-a",
      ),
    "caf\u00e9",
  ],
  [
    "iteration is sorted, lower-case, combined",
    async ({ fetch, url }) =>
      [...(await fetch(`${url}/fields`)).headers].filter(
        ([name]) => /^x-|^set/.test(name) && name !== "x-latin" && name !== "x-blank",
      ),
    [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],

      ["x-empty", ""],
      ["x-twice", "1, 2"],
    ],
  ],
  [
    "forEach",
    async ({ fetch, url }) => {
      const names: string[] = [];
      (await fetch(`${url}/text`)).headers.forEach((_, name) => void names.push(name));
      return names.includes("content-type");
    },
    true,
  ],
  [
    "keys and values",
    async ({ fetch, url }) => {
      const { headers } = await fetch(`${url}/text`);
      return [[...headers.keys()].length, [...headers.values()].includes("text/plain")];
    },
    [5, true],
  ],
  ["are immutable to set", async ({ fetch, url }) => (await fetch(`${url}/text`)).headers.set("a", "b"), REFUSED],
  ["are immutable to append", async ({ fetch, url }) => (await fetch(`${url}/text`)).headers.append("a", "b"), REFUSED],
  [
    "are immutable to delete",
    async ({ fetch, url }) => (await fetch(`${url}/text`)).headers.delete("content-type"),
    REFUSED,
  ],
  [
    "copy into a standard Headers",
    async ({ fetch, url }) => new Headers((await fetch(`${url}/text`)).headers).get("content-type"),
    "text/plain",
  ],
  [
    "Content-Encoding of decoded content",
    async ({ fetch, url }) => (await fetch(`${url}/gzip`)).headers.get("content-encoding"),
    differs(null, "gzip", SAME_CONTENT),
  ],
  [
    "Content-Length of decoded content",
    async ({ fetch, url }) => (await fetch(`${url}/gzip`)).headers.has("content-length"),
    differs(false, true, SAME_CONTENT),
  ],
]);

table("response bodies", [
  ["text", async ({ fetch, url }) => (await fetch(`${url}/text`)).text(), "hello"],
  ["text outside ASCII", async ({ fetch, url }) => (await fetch(`${url}/text?hex=c3a9e282ac`)).text(), "\u00e9\u20ac"],
  ["text that is no UTF-8", async ({ fetch, url }) => (await fetch(`${url}/text?hex=ff41`)).text(), "\ufffdA"],
  [
    "text is UTF-8 whatever the charset",
    async ({ fetch, url }) => (await fetch(`${url}/text?hex=e9&type=text/plain;charset=latin1`)).text(),
    "\ufffd",
  ],
  ["text without its byte order mark", async ({ fetch, url }) => (await fetch(`${url}/text?hex=efbbbf41`)).text(), "A"],
  ["json", async ({ fetch, url }) => (await fetch(`${url}/text?hex=7b2261223a317d`)).json(), { a: 1 }],
  ["json that is none", async ({ fetch, url }) => (await fetch(`${url}/text`)).json(), "rejects SyntaxError"],
  ["json of nothing", async ({ fetch, url }) => (await fetch(`${url}/text?hex=`)).json(), "rejects SyntaxError"],
  ["arrayBuffer", async ({ fetch, url }) => (await (await fetch(`${url}/text`)).arrayBuffer()).byteLength, 5],
  [
    "blob",
    async ({ fetch, url }) => {
      const blob = await (await fetch(`${url}/text?type=text/html`)).blob();
      return [blob.size, blob.type, await blob.text()];
    },
    [5, "text/html", "hello"],
  ],
  ["blob: its type is serialised", blobType("Text/Plain; Charset=UTF-8"), "text/plain;charset=utf-8"],
  ["blob: a type that is none", blobType("nothing"), ""],
  ["blob: a quoted parameter", blobType('text/plain; a="b c"'), 'text/plain;a="b c"'],
  [
    "formData, multipart",
    async ({ fetch, url }) => {
      const form = await (await fetch(`${url}/form`)).formData();
      const file = form.get("f") as File;
      return [form.get("a"), file.name, file.type, await file.text()];
    },
    ["1", "f.txt", "text/plain", "file"],
  ],
  [
    "formData, urlencoded",
    async ({ fetch, url }) => {
      const form = await (await fetch(`${url}/text?hex=613d312662&type=application/x-www-form-urlencoded`)).formData();
      return [...form];
    },
    [
      ["a", "1"],
      ["b", ""],
    ],
  ],
  ["formData of text", async ({ fetch, url }) => (await fetch(`${url}/text`)).formData(), REFUSED],
  [
    "a body is read once",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      await response.text();
      return [response.bodyUsed, await settled(response.text()), await settled(response.json())];
    },
    [true, REFUSED, REFUSED],
  ],
  [
    "no body is read as often as one likes",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/status/204`);
      return [await response.text(), await response.text(), response.bodyUsed];
    },
    ["", "", false],
  ],
  [
    "bodyUsed while it is read",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      const text = response.text();
      return [response.bodyUsed, await text];
    },
    [true, "hello"],
  ],
  [
    "body as a stream",
    async ({ fetch, url }) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await fetch(`${url}/chunks`)).body as ReadableStream<Uint8Array>) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    },
    "one,two,three",
  ],
  [
    "body is the same each time",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      const { body } = response;
      return response.body === body;
    },
    true,
  ],
  [
    "a look at body uses nothing",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      response.body;
      return [response.bodyUsed, await response.text()];
    },
    [false, "hello"],
  ],
  [
    "a locked body cannot be read",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      const reader = response.body?.getReader();
      const failure = await settled(response.text());
      reader?.releaseLock();
      return [failure, await response.text()];
    },
    [REFUSED, "hello"],
  ],
  [
    "a stream read in part counts as used",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      const reader = response.body?.getReader();
      await reader?.read();
      reader?.releaseLock();
      return [response.bodyUsed, await settled(response.text())];
    },
    [true, REFUSED],
  ],
  [
    "body.locked after text()",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      await response.text();
      return [response.body?.locked, response.bodyUsed];
    },
    [true, true],
  ],
  [
    "cancel ends the connection's use",
    async ({ fetch, url, events }) => {
      const response = await fetch(`${url}/half`);
      const gone = new Promise((resolve) => events.once("gone:/half", () => resolve("gone")));
      await response.body?.cancel();
      return [await gone, response.bodyUsed];
    },
    ["gone", true],
  ],
  [
    "a byte stream takes buffers",
    async ({ fetch, url }) => {
      const reader = (await fetch(`${url}/text`)).body?.getReader({ mode: "byob" });
      const read = await reader?.read(new Uint8Array(2));
      return Buffer.from((read?.value ?? new Uint8Array()) as Uint8Array).toString();
    },
    "he",
  ],
  [
    "pipeThrough",
    async ({ fetch, url }) => {
      const text = (await fetch(`${url}/text`)).body?.pipeThrough(
        new TextDecoderStream() as never,
      ) as ReadableStream<string>;
      let all = "";
      for await (const chunk of text) all += chunk;
      return all;
    },
    "hello",
  ],
  ["gzip is decoded", async ({ fetch, url }) => (await fetch(`${url}/gzip`)).text(), "zipped"],
  [
    "gzip that is none fails",
    async ({ fetch, url }) => (await fetch(`${url}/badgzip`)).text(),
    differs(
      "rejects DecompressError",
      "rejects TypeError",
      "one Response for all: a body fails with the class that has the facts, as that of client.get",
    ),
  ],
  [
    "a cut body fails",
    async ({ fetch, url }) => (await fetch(`${url}/cut`)).text(),
    differs("rejects IncompleteBodyError", "rejects TypeError", "as above: expected and received are its fields"),
  ],
  [
    "a cut body's bytes come first",
    async ({ fetch, url }) => {
      const reader = ((await fetch(`${url}/cut`)).body as ReadableStream<Uint8Array>).getReader();
      return Buffer.from((await reader.read()).value ?? []).toString();
    },
    "cut",
  ],
  [
    "a megabyte",
    async ({ fetch, url }) =>
      ((await (await fetch(`${url}/echo`, { method: "POST", body: "x".repeat(1_000_000) })).json()) as { body: string })
        .body.length,
    1_000_000,
  ],
  [
    "the answer may come before the body is sent",
    async ({ fetch, url }) => {
      const body = new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1000)) });
      const response = await fetch(`${url}/early`, { method: "POST", body, duplex: "half" } as RequestInit);
      return [response.status, await response.text()];
    },
    [413, "early"],
  ],
  [
    "fits a standard Response",
    async ({ fetch, url }) => new Response((await fetch(`${url}/text`)).body).text(),
    "hello",
  ],
]);

table("response.clone()", [
  [
    "both are read",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/chunks`);
      const copy = response.clone();
      return [await response.text(), await copy.text()];
    },
    ["one,two,three", "one,two,three"],
  ],
  [
    "the copy first",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/chunks`);
      const copy = response.clone();
      return [await copy.text(), await response.text()];
    },
    ["one,two,three", "one,two,three"],
  ],
  [
    "both at once",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/chunks`);
      const copy = response.clone();
      return Promise.all([response.text(), copy.text()]);
    },
    ["one,two,three", "one,two,three"],
  ],
  [
    "a copy of a copy",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      const copy = response.clone().clone();
      return [await copy.text(), await response.text()];
    },
    ["hello", "hello"],
  ],
  [
    "has the facts",
    async ({ fetch, url }) => {
      const copy = (await fetch(`${url}/redirect/302?to=/text`)).clone();
      return [copy.status, copy.redirected, copy.type, copy.headers.get("content-type"), copy.url === `${url}/text`];
    },
    [200, true, "basic", "text/plain", true],
  ],
  [
    "one's reading does not use the other",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      const copy = response.clone();
      await copy.text();
      return [response.bodyUsed, copy.bodyUsed];
    },
    [false, true],
  ],
  [
    "one may be cancelled",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/chunks`);
      const copy = response.clone();
      copy.body?.cancel();
      return response.text();
    },
    "one,two,three",
  ],
  [
    "not after it was read",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      await response.text();
      return response.clone();
    },
    REFUSED,
  ],
  [
    "not while it is locked",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/text`);
      response.body?.getReader();
      return response.clone();
    },
    REFUSED,
  ],
  ["of no body", async ({ fetch, url }) => (await fetch(`${url}/status/204`)).clone().body, null],
  [
    "both fail where the body is cut",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/cut`);
      const copy = response.clone();
      const ends = await Promise.allSettled([response.text(), copy.text()]);
      return ends.map(({ status }) => status);
    },
    ["rejected", "rejected"],
  ],
]);

table("fetch(data:)", [
  ["text", data("data:,hello"), ["text/plain;charset=US-ASCII", "hello"]],
  ["a type", data("data:text/html,<p>"), ["text/html", "<p>"]],
  ["a parameter alone", data("data:;charset=utf-8,x"), ["text/plain;charset=utf-8", "x"]],
  ["a type that is none", data("data:nothing,x"), ["text/plain;charset=US-ASCII", "x"]],
  ["escapes", data("data:,%41%e9%zz%4"), ["text/plain;charset=US-ASCII", "A\u00e9%zz%4"]],
  ["base64", data("data:;base64,aGVsbG8="), ["text/plain;charset=US-ASCII", "hello"]],
  ["base64 without padding", data("data:;base64,aGVsbG8"), ["text/plain;charset=US-ASCII", "hello"]],
  ["base64, escaped and with blanks", data("data:a/b; base64,aGVs%20bG8%3D"), ["a/b", "hello"]],
  ["base64 that is none", data("data:;base64,*"), FAILED],
  ["base64 of a bad length", data("data:;base64,aGVsb"), FAILED],
  ["no comma", data("data:text/plain"), FAILED],
  ["a fragment is no content", data("data:,a#b"), ["text/plain;charset=US-ASCII", "a"]],
  ["an upper-case scheme", data("DATA:,a"), ["text/plain;charset=US-ASCII", "a"]],
  ["nothing", data("data:,"), ["text/plain;charset=US-ASCII", ""]],
  ["blanks in the type", data("data: text/html ;a=b ,x"), ["text/html;a=b", "x"]],
  [
    "facts",
    async ({ fetch }) => {
      const { status, statusText, ok, type, url, redirected } = await fetch("data:,x#y");
      return [status, statusText, ok, type, url, redirected];
    },
    [200, "OK", true, "basic", "data:,x", false],
  ],
  ["as a URL", async ({ fetch }) => (await fetch(new URL("data:,x"))).text(), "x"],
  ["of a standard Request", async ({ fetch }) => (await fetch(new Request("data:,x"))).text(), "x"],
  ["HEAD", async ({ fetch }) => (await fetch("data:,x", { method: "HEAD" })).text(), ""],
  ["POST", async ({ fetch }) => (await fetch("data:,x", { method: "POST", body: "y" })).text(), "x"],
  [
    "clone",
    async ({ fetch }) => {
      const response = await fetch("data:,x");
      return [await response.clone().text(), await response.text()];
    },
    ["x", "x"],
  ],
  ["aborted before", ({ fetch }) => fetch("data:,x", { signal: AbortSignal.abort() }), "rejects AbortError"],
]);

table("fetch(input, { integrity })", [
  ["sha256", integrity(hello("sha256")), [200, "hello"]],
  ["sha384", integrity(hello("sha384")), [200, "hello"]],
  ["sha512", integrity(hello("sha512")), [200, "hello"]],
  ["a digest of something else", integrity(`sha256-${createHash("sha256").update("other").digest("base64")}`), FAILED],
  [
    "one of several",
    integrity(`sha256-${createHash("sha256").update("other").digest("base64")} ${hello("sha256")}`),
    [200, "hello"],
  ],
  [
    "only the strongest counts",
    integrity(`${hello("sha256")} sha512-${createHash("sha512").update("other").digest("base64")}`),
    FAILED,
  ],
  [
    "a weak one that is wrong does not",
    integrity(`sha256-${createHash("sha256").update("other").digest("base64")} ${hello("sha512")}`),
    [200, "hello"],
  ],
  ["nothing", integrity(""), [200, "hello"]],
  ["an algorithm that nobody knows", integrity("md5-XUFAKrxLKna5cZ2REBfFkg=="), [200, "hello"]],
  [
    "options are passed over",
    integrity(`${hello("sha256")}?ct=text/plain`),
    differs([200, "hello"], FAILED, "the standard passes over what stands behind a question mark"),
  ],
  ["base64url", integrity(hello("sha256").replace(/\+/g, "-").replace(/\//g, "_")), [200, "hello"]],
  [
    "facts stay",
    async ({ fetch, url }) => {
      const response = await fetch(`${url}/redirect/302?to=/text`, { integrity: hello("sha256") });
      return [
        response.redirected,
        response.headers.get("content-type"),
        response.url === `${url}/text`,
        response.bodyUsed,
      ];
    },
    [true, "text/plain", true, false],
  ],
  [
    "of decoded content",
    async ({ fetch, url }) =>
      (
        await fetch(`${url}/gzip`, { integrity: `sha256-${createHash("sha256").update("zipped").digest("base64")}` })
      ).text(),
    "zipped",
  ],
  ["of a body that is cut", ({ fetch, url }) => fetch(`${url}/cut`, { integrity: hello("sha256") }), FAILED],
  ["of no body", ({ fetch, url }) => fetch(`${url}/text`, { method: "HEAD", integrity: hello("sha256") }), FAILED],
  ["of data:", async ({ fetch }) => (await fetch("data:,hello", { integrity: hello("sha256") })).text(), "hello"],
  ["of data: that is not so", ({ fetch }) => fetch("data:,other", { integrity: hello("sha256") }), FAILED],
  [
    "of a standard Request",
    ({ fetch, url }) => fetch(new Request(`${url}/text`, { integrity: hello("sha256").replace("-", "-AAAA") })),
    FAILED,
  ],
  [
    "an abort wins",
    async ({ fetch, url, events }) => {
      const controller = new AbortController();
      const reason = { name: "mine" };
      events.once("/half", () => controller.abort(reason));
      return fetch(`${url}/half`, { integrity: hello("sha256"), signal: controller.signal }).catch(
        (e) => e === reason || rejection(e),
      );
    },
    true,
  ],
]);
