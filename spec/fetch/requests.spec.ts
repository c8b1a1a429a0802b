/** What `fetch` sends: inputs, methods, fields and bodies; each row against the global one. */

import { Readable } from "node:stream";
import { differs, echoed, FAILED, REFUSED, type Row, table } from "./oracle.ts";

type Init = RequestInit & { duplex?: "half"; cache?: string };

const bytes = new TextEncoder().encode("bytes");
const webStream = (...chunks: (string | Uint8Array)[]): ReadableStream =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      controller.close();
    },
  });

/** What came of a POST with a body: its text, its type and how it was framed. */
const post =
  (make: () => unknown, more: Init = {}): Row[1] =>
  async ({ fetch, url }) => {
    const { body, headers } = await echoed(
      fetch(`${url}/echo`, { method: "POST", body: make() as RequestInit["body"] & object, ...more }),
    );
    return [body, headers["content-type"], headers["content-length"] ?? headers["transfer-encoding"]];
  };

const method =
  (name: unknown, more: Init = {}): Row[1] =>
  async ({ fetch, url }) =>
    (await echoed(fetch(`${url}/echo`, { method: name as string, ...more }))).method;

const field =
  (headers: unknown, name: string): Row[1] =>
  async ({ fetch, url }) =>
    (await echoed(fetch(`${url}/echo`, { headers: headers as Record<string, string> }))).headers[name];

table("fetch(input)", [
  ["a string", async ({ fetch, url }) => (await echoed(fetch(`${url}/echo?a=1`))).path, "/echo?a=1"],
  ["a URL", async ({ fetch, url }) => (await echoed(fetch(new URL(`${url}/echo?a=1`)))).path, "/echo?a=1"],
  [
    "an object that turns into a URL",
    async ({ fetch, url }) => (await echoed(fetch({ toString: () => `${url}/echo` } as string))).path,
    "/echo",
  ],
  [
    "a standard Request",
    async ({ fetch, url }) => (await echoed(fetch(new Request(`${url}/echo`, { method: "PUT" })))).method,
    "PUT",
  ],
  [
    "a standard Request whose init changes it",
    async ({ fetch, url }) => {
      const request = new Request(`${url}/echo`, { method: "PUT", headers: { "x-a": "1" } });
      const { method, headers } = await echoed(fetch(request, { method: "POST", headers: { "x-b": "2" } }));
      return [method, headers["x-a"], headers["x-b"]];
    },
    ["POST", undefined, "2"],
  ],
  [
    "a standard Request keeps its fields where the init has none",
    async ({ fetch, url }) => {
      const request = new Request(`${url}/echo`, { headers: { "x-a": "1" } });
      return (await echoed(fetch(request, { method: "POST" }))).headers["x-a"];
    },
    "1",
  ],
  [
    "a standard Request with a body",
    async ({ fetch, url }) => {
      const request = new Request(`${url}/echo`, { method: "POST", body: "text" });
      const { body, headers } = await echoed(fetch(request));
      return [body, headers["content-type"], request.bodyUsed];
    },
    ["text", "text/plain;charset=UTF-8", true],
  ],
  [
    "a standard Request's text is framed",
    async ({ fetch, url }) => {
      const { headers } = await echoed(fetch(new Request(`${url}/echo`, { method: "POST", body: "text" })));
      return headers["content-length"] ?? headers["transfer-encoding"];
    },
    differs("chunked", "4", "a standard Request shows its body as a stream only, and a stream has no length"),
  ],
  [
    "a standard Request whose body the init replaces",
    async ({ fetch, url }) => {
      const request = new Request(`${url}/echo`, { method: "POST", body: "old" });
      const { body } = await echoed(fetch(request, { body: "new" }));
      return [body, request.bodyUsed];
    },
    ["new", false],
  ],
  [
    "a standard Request that was read is refused",
    async ({ fetch, url }) => {
      const request = new Request(`${url}/echo`, { method: "POST", body: "text" });
      await request.text();
      return fetch(request);
    },
    REFUSED,
  ],
  [
    "a clone of a standard Request may be sent after it",
    async ({ fetch, url }) => {
      const request = new Request(`${url}/echo`, { method: "POST", body: "text" });
      const copy = request.clone();
      return [(await echoed(fetch(request))).body, (await echoed(fetch(copy))).body];
    },
    ["text", "text"],
  ],
  [
    "a standard Request as the init",
    async ({ fetch, url }) => {
      const { method, headers } = await echoed(
        fetch(`${url}/echo`, new Request("http://a/", { method: "PUT", headers: { "x-a": "1" } })),
      );
      return [method, headers["x-a"]];
    },
    ["PUT", "1"],
  ],
  [
    "body null keeps the Request's",
    async ({ fetch, url }) =>
      (await echoed(fetch(new Request(`${url}/echo`, { method: "POST", body: "text" }), { body: null }))).body,
    "text",
  ],
  ["an init of null", async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, null as never))).method, "GET"],
  ["an init that is a string", ({ fetch, url }) => fetch(`${url}/echo`, "x" as never), REFUSED],
  [
    "members that are undefined",
    async ({ fetch, url }) => {
      const init = { method: undefined, headers: undefined, body: undefined, signal: undefined, redirect: undefined };
      return (await echoed(fetch(`${url}/echo`, init as never))).method;
    },
    "GET",
  ],
  [
    "members that nobody knows are other people's",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, { retry: 3, timeout: "x" } as never))).method,
    "GET",
  ],
  [
    "members that only a browser heeds",
    async ({ fetch, url }) => {
      const init: Init = {
        mode: "cors",
        credentials: "include",
        cache: "no-cache",
        keepalive: true,
        referrerPolicy: "origin",
      };
      return (await echoed(fetch(`${url}/echo`, init))).method;
    },
    "GET",
  ],
  ["a fragment is not sent", async ({ fetch, url }) => (await echoed(fetch(`${url}/echo#part`))).path, "/echo"],
  [
    "a path is normalised by the URL parser",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/a/../echo/%7e`))).path,
    "/echo/%7e",
  ],
  [
    "a path outside ASCII is escaped",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo/\u00e9`))).path,
    "/echo/%C3%A9",
  ],
  [
    "outer blanks of a URL",
    async ({ fetch, url }) => (await echoed(fetch(` ${url}/echo `))).path,
    differs(REFUSED, "/echo", "a URL that the parser would clean is refused, not guessed at"),
  ],
  ["a relative URL", ({ fetch }) => fetch("/echo"), REFUSED],
  ["no URL", ({ fetch }) => fetch(""), REFUSED],
  ["nothing", ({ fetch }) => fetch(undefined as never), REFUSED],
  ["a number", ({ fetch }) => fetch(42 as never), REFUSED],
  ["credentials in the URL", ({ fetch, url }) => fetch(url.replace("//", "//user:password@")), REFUSED],
  ["a user name in the URL", ({ fetch, url }) => fetch(url.replace("//", "//user@")), REFUSED],
  [
    "file:",
    ({ fetch }) => fetch("file:///etc/passwd"),
    differs(REFUSED, FAILED, "what can be seen to be no request is refused before anything is tried"),
  ],
  ["ftp:", ({ fetch }) => fetch("ftp://127.0.0.1/"), differs(REFUSED, FAILED, "as file:")],
  ["about:blank", ({ fetch }) => fetch("about:blank"), differs(REFUSED, FAILED, "as file:")],
  [
    "blob:",
    async ({ fetch }) => {
      const url = URL.createObjectURL(new Blob(["text"]));
      try {
        return await (await fetch(url)).text();
      } finally {
        URL.revokeObjectURL(url);
      }
    },
    differs(REFUSED, "text", "a Blob can be read without a URL; only http, https and data are known"),
  ],
  ["port 1", ({ fetch }) => fetch("http://127.0.0.1:1/"), FAILED],
  ["port 22", ({ fetch }) => fetch("http://127.0.0.1:22/"), FAILED],
  ["port 6667", ({ fetch }) => fetch("http://127.0.0.1:6667/"), FAILED],
  ["port 10080", ({ fetch }) => fetch("http://127.0.0.1:10080/"), FAILED],
]);

table("fetch(input, { method })", [
  ...["get", "Get", "GET"].map((name): Row => [`${name} is GET`, method(name), "GET"]),
  ["delete is DELETE", method("delete"), "DELETE"],
  ["post is POST", method("post"), "POST"],
  ["put is PUT", method("put"), "PUT"],
  ["options is OPTIONS", method("options"), "OPTIONS"],
  [
    "head is HEAD",
    async ({ fetch, url, events }) => {
      const seen = new Promise((resolve) => events.once("/status/200", () => resolve("came")));
      const response = await fetch(`${url}/status/200?body=x`, { method: "head" });
      return [await seen, response.status, await response.text(), response.body];
    },
    ["came", 200, "", null],
  ],
  ["PATCH is PATCH", method("PATCH"), "PATCH"],
  [
    "patch stays, and Node's server refuses it",
    async ({ fetch, url }) => (await fetch(`${url}/echo`, { method: "patch" })).status,
    400,
  ],
  ["PROPFIND goes out as given", method("PROPFIND"), "PROPFIND"],
  ["CONNECT is refused", method("CONNECT"), REFUSED],
  ["TRACE is refused", method("TRACE"), REFUSED],
  ["track is refused", method("track"), REFUSED],
  ["no token is refused", method("GE T"), REFUSED],
  ["no name is refused", method(""), REFUSED],
  [
    "null is a method's name",
    async ({ fetch, url }) => (await fetch(`${url}/echo`, { method: null as never })).status,
    400,
  ],
  ["GET with a body is refused", method("GET", { body: "x" }), REFUSED],
  ["HEAD with a body is refused", method("HEAD", { body: "x" }), REFUSED],
  ["GET with an empty body is refused", method("GET", { body: "" }), REFUSED],
  ["a body without a method is refused", ({ fetch, url }) => fetch(`${url}/echo`, { body: "x" }), REFUSED],
  [
    "a Request's body with another method GET is refused",
    ({ fetch, url }) => fetch(new Request(`${url}/echo`, { method: "POST", body: "x" }), { method: "GET" }),
    REFUSED,
  ],
  [
    "DELETE with a body",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, { method: "DELETE", body: "x" }))).body,
    "x",
  ],
  [
    "OPTIONS with a body",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, { method: "OPTIONS", body: "x" }))).body,
    "x",
  ],
  [
    "POST without a body says so",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, { method: "POST" }))).headers["content-length"],
    "0",
  ],
  [
    "PUT without a body says so",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, { method: "PUT" }))).headers["content-length"],
    "0",
  ],
  [
    "DELETE without a body has no length",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, { method: "DELETE" }))).headers["content-length"],
    undefined,
  ],
]);

table("fetch(input, { … }) refuses words that it does not know", [
  ...["redirect", "mode", "credentials", "cache", "referrerPolicy", "duplex"].map(
    (name): Row => [name, ({ fetch, url }) => fetch(`${url}/echo`, { [name]: "bogus" }), REFUSED],
  ),
  ["mode navigate", ({ fetch, url }) => fetch(`${url}/echo`, { mode: "navigate" }), REFUSED],
  ["cache only-if-cached", ({ fetch, url }) => fetch(`${url}/echo`, { cache: "only-if-cached" } as Init), REFUSED],
  ["a window", ({ fetch, url }) => fetch(`${url}/echo`, { window: {} } as never), REFUSED],
  ["a signal that is none", ({ fetch, url }) => fetch(`${url}/echo`, { signal: {} as never }), REFUSED],
  [
    "referrer that is no URL",
    async ({ fetch, url }) => (await fetch(`${url}/echo`, { referrer: "//[" })).status,
    differs(200, REFUSED, "there is no page to be referred from, so it is not looked at"),
  ],
  [
    "a dispatcher",
    async ({ fetch, url }) =>
      (
        await fetch(`${url}/echo`, {
          dispatcher: {
            dispatch() {
              throw REFUSED;
            },
          },
        } as never)
      ).status,
    differs(REFUSED, FAILED, "it is undici's, and to pass it over would be to go another way than the caller said"),
  ],
]);

table("fetch(input, { headers })", [
  ["a record", field({ "X-A": "1" }, "x-a"), "1"],
  [
    "pairs",
    field(
      [
        ["X-A", "1"],
        ["x-a", "2"],
      ],
      "x-a",
    ),
    "1, 2",
  ],
  ["a Map", field(new Map([["x-a", "1"]]), "x-a"), "1"],
  ["a standard Headers", field(new Headers({ "x-a": "1" }), "x-a"), "1"],
  ["a number", field({ "x-a": 1 }, "x-a"), "1"],
  ["undefined is that word", field({ "x-a": undefined }, "x-a"), "undefined"],
  ["null is that word", field({ "x-a": null }, "x-a"), "null"],
  ["an empty value", field({ "x-a": "" }, "x-a"), ""],
  ["outer blanks are cut", field({ "x-a": " \t1\r\n " }, "x-a"), "1"],
  [
    "a list in a record",
    field({ "x-a": ["1", "2"] }, "x-a"),
    differs("1, 2", "1,2", "Node's way to repeat a field: two lines, not one text"),
  ],
  [
    "latin1 goes out as such",
    async ({ fetch, url }) => (await echoed(fetch(`${url}/echo`, { headers: { "x-a": "caf\u00e9" } }))).headers["x-a"],
    "caf\u00e9",
  ],
  ["beyond latin1 is refused", field({ "x-a": "\u20ac" }, "x-a"), REFUSED],
  ["a line end is refused", field({ "x-a": "a\r\nb" }, "x-a"), REFUSED],
  ["NUL is refused", field({ "x-a": "a\0b" }, "x-a"), REFUSED],
  ["a bad name is refused", field({ "x a": "1" }, "x-a"), REFUSED],
  ["an empty name is refused", field({ "": "1" }, "x-a"), REFUSED],
  ["a pair of three is refused", field([["x-a", "1", "2"]], "x-a"), REFUSED],
  ["a pair of one is refused", field([["x-a"]], "x-a"), REFUSED],
  ["a text is refused", field("x-a: 1", "x-a"), REFUSED],
  ["null is refused", field(null, "x-a"), REFUSED],
  [
    "names keep their case",
    async ({ fetch, url }) => {
      const { lines } = await echoed(fetch(`${url}/echo`, { headers: { "X-CaSe": "1" } }));
      return lines.find((line) => line.toLowerCase() === "x-case");
    },
    "X-CaSe",
  ],
  ["Accept by itself", field({}, "accept"), "*/*"],
  ["Accept of the caller's", field({ accept: "text/html" }, "accept"), "text/html"],
  ["User-Agent of the caller's", field({ "user-agent": "me/1" }, "user-agent"), "me/1"],
  ["User-Agent by itself", field({}, "user-agent"), differs("persistconn/0.1.0", "node", "each says who it is")],
  ["Accept-Language by itself", field({}, "accept-language"), differs(undefined, "*", "nobody asked for languages")],
  [
    "Sec-Fetch-Mode by itself",
    field({}, "sec-fetch-mode"),
    differs(undefined, "cors", "a browser's word, and this is none"),
  ],
  [
    "Connection by itself",
    field({}, "connection"),
    differs(undefined, "keep-alive", "RFC 9112 §9.3: HTTP/1.1 connections persist without it"),
  ],
  ["Accept-Encoding of the caller's", field({ "accept-encoding": "identity" }, "accept-encoding"), "identity"],
  [
    "Host of the caller's",
    async ({ fetch, url }) =>
      (await echoed(fetch(`${url}/echo`, { headers: { host: "elsewhere" } }))).headers["host"] === "elsewhere",
    differs(true, false, "it makes a valid request, and virtual hosts are asked so"),
  ],
  ["Cookie of the caller's", field({ cookie: "a=1" }, "cookie"), "a=1"],
  [
    "Origin and Referer of the caller's",
    async ({ fetch, url }) => {
      const { headers } = await echoed(fetch(`${url}/echo`, { headers: { origin: "http://a", referer: "http://a/" } }));
      return [headers["origin"], headers["referer"]];
    },
    ["http://a", "http://a/"],
  ],
  ["Authorization of the caller's", field({ authorization: "Bearer x" }, "authorization"), "Bearer x"],
  ["Connection: close of the caller's", field({ connection: "close" }, "connection"), "close"],
  [
    "Expect of the caller's",
    async ({ fetch, url }) =>
      (await echoed(fetch(`${url}/echo`, { method: "POST", body: "x", headers: { expect: "100-continue" } }))).body,
    differs("x", FAILED, "the client can wait for the 100"),
  ],
  [
    "Transfer-Encoding of the caller's",
    ({ fetch, url }) => fetch(`${url}/echo`, { method: "POST", body: "x", headers: { "transfer-encoding": "gzip" } }),
    FAILED,
  ],
  [
    "Content-Length that is wrong",
    ({ fetch, url }) => fetch(`${url}/echo`, { method: "POST", body: "x", headers: { "content-length": "5" } }),
    FAILED,
  ],
  [
    "Content-Length that is right",
    async ({ fetch, url }) =>
      (await echoed(fetch(`${url}/echo`, { method: "POST", body: "x", headers: { "content-length": "1" } }))).body,
    "x",
  ],
]);

table("fetch(input, { body })", [
  ["a string", post(() => "text"), ["text", "text/plain;charset=UTF-8", "4"]],
  ["a string outside ASCII is UTF-8", post(() => "\u00e9"), ["\u00c3\u00a9", "text/plain;charset=UTF-8", "2"]],
  ["an empty string", post(() => ""), ["", "text/plain;charset=UTF-8", "0"]],
  ["a Uint8Array", post(() => bytes), ["bytes", undefined, "5"]],
  ["a part of a buffer", post(() => bytes.subarray(1, 3)), ["yt", undefined, "2"]],
  ["a Buffer", post(() => Buffer.from("buffer")), ["buffer", undefined, "6"]],
  ["an ArrayBuffer", post(() => bytes.slice().buffer), ["bytes", undefined, "5"]],
  ["a DataView", post(() => new DataView(bytes.buffer, 1, 2)), ["yt", undefined, "2"]],
  ["a Uint16Array", post(() => new Uint16Array([0x6261])), ["ab", undefined, "2"]],
  [
    "URLSearchParams",
    post(
      () =>
        new URLSearchParams([
          ["a", "1"],
          ["b", "x y"],
        ]),
    ),
    ["a=1&b=x+y", "application/x-www-form-urlencoded;charset=UTF-8", "9"],
  ],
  ["a Blob", post(() => new Blob(["blob"])), ["blob", undefined, "4"]],
  ["a Blob with a type", post(() => new Blob(["blob"], { type: "text/html" })), ["blob", "text/html", "4"]],
  ["a File", post(() => new File(["file"], "f.txt", { type: "text/css" })), ["file", "text/css", "4"]],
  ["a web stream", post(() => webStream("a", "b"), { duplex: "half" }), ["ab", undefined, "chunked"]],
  [
    "an empty web stream",
    post(() => webStream(), { duplex: "half" }),
    differs(
      ["", undefined, "chunked"],
      ["", undefined, "0"],
      "a stream is of unknown length until it has ended, and only GET and its like wait for that",
    ),
  ],
  [
    "a Node stream",
    post(() => Readable.from([Buffer.from("a"), Buffer.from("b")]), { duplex: "half" }),
    ["ab", undefined, "chunked"],
  ],
  [
    "an async generator",
    post(
      () =>
        (async function* () {
          yield bytes;
        })(),
      { duplex: "half" },
    ),
    ["bytes", undefined, "chunked"],
  ],
  ["a web stream without duplex is refused", post(() => webStream("a")), REFUSED],
  ["a Node stream without duplex is refused", post(() => Readable.from(["a"])), REFUSED],
  ["an async generator without duplex is refused", post(() => (async function* () {})()), REFUSED],
  ["duplex with a body in memory", post(() => "text", { duplex: "half" }), ["text", "text/plain;charset=UTF-8", "4"]],
  ["duplex full is refused", post(() => "text", { duplex: "full" as "half" }), REFUSED],
  [
    "a Content-Type of the caller's wins",
    post(() => "{}", { headers: { "content-type": "application/json" } }),
    ["{}", "application/json", "2"],
  ],
  [
    "a Content-Type of the caller's wins over a Blob's",
    post(() => new Blob(["x"], { type: "a/b" }), { headers: { "Content-Type": "c/d" } }),
    ["x", "c/d", "1"],
  ],
  ["a number is text", post(() => 42), ["42", "text/plain;charset=UTF-8", "2"]],
  ["false is text", post(() => false), ["false", "text/plain;charset=UTF-8", "5"]],
  ["null is none", post(() => null), ["", undefined, "0"]],
  [
    "a plain object",
    post(() => ({ a: 1 })),
    differs(REFUSED, ["[object Object]", "text/plain;charset=UTF-8", "15"], "nobody means the text [object Object]"),
  ],
  [
    "a list of bytes",
    post(() => [bytes, bytes]),
    differs(
      ["bytesbytes", undefined, "10"],
      ["98,121,116,101,115,98,121,116,101,115", "text/plain;charset=UTF-8", "37"],
      "parts are parts, as in a Blob",
    ),
  ],
  [
    "a function",
    post(() => () => "made"),
    differs(
      ["made", undefined, "chunked"],
      ['() => "made"', "text/plain;charset=UTF-8", "12"],
      "a function makes a body, which can be sent again; nobody means its source",
    ),
  ],
  ["a symbol is refused", post(() => Symbol("x")), REFUSED],
  [
    "a stream of text",
    post(
      () =>
        new ReadableStream({
          start(c) {
            c.enqueue("text");
            c.close();
          },
        }),
      { duplex: "half" },
    ),
    ["text", undefined, "chunked"],
  ],
  [
    "a stream of numbers fails",
    post(
      () =>
        new ReadableStream({
          start(c) {
            c.enqueue(1);
            c.close();
          },
        }),
      { duplex: "half" },
    ),
    FAILED,
  ],
  [
    "a stream that was read",
    async ({ fetch, url }) => {
      const stream = webStream("a");
      await stream.getReader().read();
      return fetch(`${url}/echo`, { method: "POST", body: stream, duplex: "half" } as Init);
    },
    REFUSED,
  ],
  [
    "a stream that is locked",
    ({ fetch, url }) => {
      const stream = webStream("a");
      stream.getReader();
      return fetch(`${url}/echo`, { method: "POST", body: stream, duplex: "half" } as Init);
    },
    REFUSED,
  ],
  [
    "a stream that fails",
    ({ fetch, url }) => {
      const body = new ReadableStream({
        pull: () => {
          throw new Error("broken");
        },
      });
      return fetch(`${url}/echo`, { method: "POST", body, duplex: "half" } as Init);
    },
    FAILED,
  ],
  [
    "a stream that fails: the cause is its error",
    async ({ fetch, url }) => {
      const broken = new Error("broken");
      const body = (async function* () {
        yield bytes;
        throw broken;
      })();
      return fetch(`${url}/echo`, { method: "POST", body: body as never, duplex: "half" } as Init).catch(
        (error) => error.cause === broken,
      );
    },
    true,
  ],
  [
    "bytes that change after the call",
    async ({ fetch, url }) => {
      const body = new TextEncoder().encode("before");
      const call = echoed(fetch(`${url}/echo`, { method: "POST", body }));
      body.set(new TextEncoder().encode("after!"));
      return (await call).body;
    },
    differs("after!", "before", "bytes are not copied: who changes them before the call is over sends the change"),
  ],
  [
    "FormData of text",
    async ({ fetch, url }) => {
      const form = new FormData();
      form.append("a", "1");
      form.append('b"\r\n', "x\ny");
      const { body, headers } = await echoed(fetch(`${url}/echo`, { method: "POST", body: form }));
      const [type, boundary = "none"] = (headers["content-type"] ?? "").split("; boundary=");
      return [type, body.replaceAll(boundary, "B"), Number(headers["content-length"]) === body.length];
    },
    [
      "multipart/form-data",
      '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name="b%22%0D%0A"\r\n\r\nx\r\ny\r\n--B--\r\n',
      true,
    ],
  ],
  [
    "FormData with a file",
    async ({ fetch, url }) => {
      const form = new FormData();
      form.append("f", new File(["text"], "f.txt", { type: "text/css" }));
      const { body, headers } = await echoed(fetch(`${url}/echo`, { method: "POST", body: form }));
      return body.replaceAll((headers["content-type"] ?? "").split("=")[1] ?? "none", "B");
    },
    '--B\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: text/css\r\n\r\ntext\r\n--B--\r\n',
  ],
  [
    "an empty FormData",
    async ({ fetch, url }) => {
      const { body, headers } = await echoed(fetch(`${url}/echo`, { method: "POST", body: new FormData() }));
      return body.trimEnd().replaceAll((headers["content-type"] ?? "").split("=")[1] ?? "none", "B");
    },
    "--B--",
  ],
  [
    "a body of a megabyte",
    async ({ fetch, url }) =>
      (await echoed(fetch(`${url}/echo`, { method: "POST", body: "x".repeat(1_000_000) }))).body.length,
    1_000_000,
  ],
  [
    "a stream's chunks go out as they come",
    async ({ fetch, url, events }) => {
      let second = (): void => {};
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode("first"));
          second = () => {
            controller.enqueue(new TextEncoder().encode("second"));
            controller.close();
          };
        },
      });
      const first = new Promise((resolve) => events.once("chunk", resolve));
      const call = echoed(fetch(`${url}/echo`, { method: "POST", body, duplex: "half" } as Init));
      const arrived = await first;
      second();
      return [arrived, (await call).body];
    },
    ["first", "firstsecond"],
  ],
]);
