/** axios itself over the adapter, against a server that counts its connections. */

import { once } from "node:events";
import { createServer } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import axios, { type AxiosError, type AxiosInstance, type AxiosProgressEvent } from "axios";
import FormDataPackage from "form-data";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { axiosAdapter } from "../../lib/adapters/axios.ts";
import { Client, DialError, HttpError, Transport } from "../../lib/index.ts";
import { bodyOf, type CountingServer, countingServer } from "../support/counting-server.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { SteeredClock } from "../support/steered-clock.ts";

const leaks = checkLeaks();
let server: CountingServer;
let transport: Transport;
let client: Client;
let http: AxiosInstance;

beforeEach(async () => {
  transport = new Transport();
  client = new Client({ transport });
  server = await countingServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url as string, "http://server/");
    switch (pathname) {
      case "/echo": {
        const body = await bodyOf(req).catch(() => null);
        if (body === null) return; // aborted
        res.setHeader("content-type", "application/json");
        res.end(
          JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body: body.toString("latin1") }),
        );
        return;
      }
      case "/bytes":
        res.end(Buffer.alloc(Number(searchParams.get("n")), "x"));
        return;
      case "/gzip":
        res.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("unpacked"));
        return;
      case "/bom":
        res.end("\ufefftext");
        return;
      case "/status":
        res.writeHead(Number(searchParams.get("s")), { "content-type": "application/json" }).end('{"why":"so"}');
        return;
      case "/hop": {
        const n = Number(searchParams.get("n"));
        res.writeHead(302, { location: n > 1 ? `/hop?n=${n - 1}` : "/bytes?n=3" }).end();
        return;
      }
      case "/cookies":
        res.writeHead(200, { "set-cookie": ["a=1", "b=2"], "x-list": ["1", "2"] }).end();
        return;
      case "/part": // a part, and then nothing
        res.writeHead(200);
        res.write("part");
        return;
      case "/cut":
        res.writeHead(200, { "content-length": "10" });
        res.write("part", () => res.destroy());
        return;
      case "/reset":
        req.socket.resetAndDestroy();
        return;
      default: // silence
    }
  });
  http = axios.create({ baseURL: server.url, adapter: axiosAdapter(client, axios) });
});
afterEach(async () => {
  await transport.destroy();
  await server[Symbol.asyncDispose]();
});

/** What an axios call fails with. */
async function failure(call: Promise<unknown>): Promise<AxiosError<unknown>> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(axios.isAxiosError(error)).toBe(true);
  return error as AxiosError; // as was just seen
}

describe("axiosAdapter(): a request", () => {
  test("has method, URL with base and params, and fields as axios makes them", async () => {
    const { data, status, statusText, headers, config, request } = await http.request({
      method: "patch",
      url: "/echo?a=1",
      params: { b: "2 3", list: [1, 2] },
      data: { x: 1 },
      headers: { "X-Own": "yes" },
    });
    expect(data).toMatchObject({
      method: "PATCH",
      url: "/echo?a=1&b=2+3&list%5B%5D=1&list%5B%5D=2",
      body: '{"x":1}',
      headers: { "x-own": "yes", "content-type": "application/json", "content-length": "7" },
    });
    expect([status, statusText, headers["content-type"]]).toEqual([200, "OK", "application/json"]);
    expect(config.url).toBe("/echo?a=1");
    expect(request.url).toBe(`${server.url}/echo?a=1&b=2+3&list%5B%5D=1&list%5B%5D=2`);
  });

  test("has no more connections than calls at once, and shares the client's pool", async () => {
    for (let i = 0; i < 20; i++) await http.get("/bytes?n=10");
    await (await client.get(`${server.url}/bytes?n=1`)).text();
    expect(server.accepted).toBe(1);
    await Promise.all(Array.from({ length: 40 }, (_, i) => http.post("/echo", `${i % 8}`)));
    expect(server.accepted).toBeLessThanOrEqual(40);
    const before = server.accepted;
    await Promise.all(Array.from({ length: before }, () => http.get("/bytes?n=10")));
    expect(server.accepted).toBe(before);
  });

  const form = () => {
    const made = new FormData();
    made.append("field", "value");
    made.append("file", new Blob(["content"]), "f.txt");
    return made;
  };
  const multipart = /^--(.+)\r\n[\s\S]*name="field"[\s\S]*value[\s\S]*f\.txt[\s\S]*content[\s\S]*--\1--\r\n$/;
  const packaged = () => {
    const made = new FormDataPackage();
    made.append("field", "value");
    made.append("file", Buffer.from("content"), { filename: "f.txt" });
    return made;
  };
  const unmeasured = () => {
    const made = packaged();
    made.append("more", Readable.from(["of unknown length"]).pipe(new PassThrough()), { filename: "g" });
    return made;
  };
  test.each<[string, () => unknown, RegExp, RegExp | undefined, string | undefined]>([
    ["a string", () => "töxt", /^tÃ¶xt$/, /^application\/x-www-form-urlencoded/, "5"],
    ["a Buffer", () => Buffer.from("bytes"), /^bytes$/, /./, "5"],
    ["a view of bytes", () => new Uint8Array([97, 98]), /^ab$/, /./, "2"],
    ["an ArrayBuffer", () => new Uint8Array([97, 98]).buffer, /^ab$/, /./, "2"],
    ["URLSearchParams", () => new URLSearchParams({ a: "1 2" }), /^a=1\+2$/, /urlencoded/, "5"],
    ["a Blob with a type", () => new Blob(["blob"], { type: "text/x" }), /^blob$/, /^text\/x$/, "4"],
    ["a Node stream", () => Readable.from(["str", "eam"]), /^stream$/, /./, undefined],
    ["a web stream", () => Readable.toWeb(Readable.from([Buffer.from("web")])), /^web$/, /./, undefined],
    ["a FormData", form, multipart, /^multipart\/form-data; ?boundary=/, undefined],
    ["a form of the package form-data", packaged, multipart, /^multipart\/form-data; ?boundary=/, "known"],
    ["one of unknown length", unmeasured, /of unknown length/, /^multipart\/form-data; ?boundary=/, undefined],
    ["an object", () => ({ a: [1] }), /^\{"a":\[1\]\}$/, /^application\/json/, "9"],
  ])("sends %s", async (name, make, body, type, length) => {
    const { data } = await http.post("/echo", make());
    expect(data.body).toMatch(body);
    if (type !== undefined) expect(data.headers["content-type"]).toMatch(type);
    if (length === "known") expect(data.headers["content-length"]).toBe(`${data.body.length}`);
    else if (length !== undefined) expect(data.headers["content-length"]).toBe(length);
    else if (name !== "a FormData") expect(data.headers["transfer-encoding"]).toBe("chunked");
  });

  test("sends no other kind of data", async () => {
    const error = await failure(http.post("/echo", { a: 1 }, { transformRequest: () => 5 }));
    expect([error.code, server.requests.length]).toEqual(["ERR_BAD_REQUEST", 0]);
    expect(error.message).toMatch(/Data after transformation/);
  });

  test("has the credentials of `auth`, in UTF-8", async () => {
    const { data } = await http.get("/echo", { auth: { username: "jö", password: "p:w" } });
    expect(data.headers.authorization).toBe(`Basic ${Buffer.from("jö:p:w").toString("base64")}`);
  });

  test("has the credentials of its URL", async () => {
    const { data } = await http.get(`${server.url.replace("//", "//user:pass@")}/echo`);
    expect(data.headers.authorization).toBe(`Basic ${Buffer.from("user:pass").toString("base64")}`);
  });

  test.each<[string, object]>([
    ["httpAgent", { httpAgent: {} }],
    ["httpsAgent", { httpsAgent: {} }],
    ["proxy", { proxy: { host: "proxy.example", port: 1 } }],
    ["socketPath", { socketPath: "/run/x" }],
    ["lookup", { lookup: () => {} }],
    ["insecureHTTPParser", { insecureHTTPParser: true }],
    ["maxRate", { maxRate: 10 }],
    ["beforeRedirect", { beforeRedirect: () => {} }],
    ["httpVersion", { httpVersion: 2 }],
  ])("is refused with %s, which is the client's to say", async (name, config) => {
    const error = await failure(http.get("/bytes?n=1", config));
    expect(error.message).toContain(`Option ${name}`);
    expect([error.code, server.accepted]).toEqual(["ERR_BAD_OPTION", 0]);
  });

  test("with `proxy: false` goes as the client goes", async () => {
    expect((await http.get("/bytes?n=2", { proxy: false })).data).toBe("xx");
  });

  test("may not have a larger body than maxBodyLength, of known length or not", async () => {
    const known = await failure(http.post("/echo", "123456", { maxBodyLength: 5 }));
    expect([known.code, known.message]).toEqual(["ERR_BAD_REQUEST", "Request body larger than maxBodyLength limit"]);
    expect(server.accepted).toBe(0);
    const source = Readable.from(["123", "456"]);
    const unknown = await failure(http.post("/echo", source, { maxBodyLength: 5 }));
    expect([unknown.code, unknown.message]).toEqual([known.code, known.message]);
    expect(source.destroyed).toBe(true);
    expect((await http.post("/echo", Readable.from(["12", "345"]), { maxBodyLength: 5 })).data.body).toBe("12345");
  });

  test("tells of its upload, in pieces, and keeps its length", async () => {
    const events: AxiosProgressEvent[] = [];
    const onUploadProgress = (event: AxiosProgressEvent) => events.push(event);
    const { data } = await http.post("/echo", Buffer.alloc(150_000, "y"), { onUploadProgress });
    expect(data.headers["content-length"]).toBe("150000");
    expect(events.map(({ loaded, total, bytes, upload }) => [loaded, total, bytes, upload])).toEqual([
      [65_536, 150_000, 65_536, true],
      [131_072, 150_000, 65_536, true],
      [150_000, 150_000, 18_928, true],
    ]);
    expect(events.at(-1)).toMatchObject({ progress: 1, lengthComputable: true });
  });
});

describe("axiosAdapter(): an answer", () => {
  test.each([
    ["arraybuffer", (data: unknown) => Buffer.isBuffer(data) && data.toString()],
    ["text", (data: unknown) => data],
    ["json", (data: unknown) => data],
    ["blob", async (data: unknown) => data instanceof Blob && (await data.text())],
    ["stream", async (data: unknown) => data instanceof Readable && (await text(data))],
  ] as const)("comes as %s", async (responseType, read) => {
    const { data } = await http.get("/bytes?n=5", { responseType });
    expect(await read(data)).toBe("xxxxx");
  });

  test("has no byte order mark, and the encoding that was asked for", async () => {
    expect((await http.get("/bom")).data).toBe("text");
    expect((await http.get("/bytes?n=3", { responseType: "text", responseEncoding: "hex" })).data).toBe("787878");
  });

  test("has its fields as Node's adapter gives them", async () => {
    const { headers } = await http.get("/cookies");
    expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(headers["x-list"]).toBe("1, 2");
  });

  test.each<[string, object]>([
    ["whatever the transport asks for", {}],
    ["an Accept-Encoding of the caller's", { headers: { "Accept-Encoding": "gzip, deflate" } }],
  ])("is decoded, with %s", async (_, config) => {
    const { data, headers } = await http.get("/gzip", config);
    expect([data, headers["content-encoding"]]).toEqual(["unpacked", undefined]);
  });

  test("stays as it came with decompress: false", async () => {
    const { data, headers } = await http.get("/gzip", { decompress: false, responseType: "arraybuffer" });
    expect(data).toEqual(gzipSync("unpacked"));
    expect(headers["content-encoding"]).toBe("gzip");
  });

  test("is an error where validateStatus says so, with the data that came", async () => {
    const refused = await failure(http.get("/status?s=404"));
    expect([refused.code, refused.status]).toEqual(["ERR_BAD_REQUEST", 404]);
    expect(refused.response?.data).toEqual({ why: "so" });
    expect((await failure(http.get("/status?s=503"))).code).toBe("ERR_BAD_RESPONSE");
    expect((await http.get("/status?s=503", { validateStatus: null })).status).toBe(503);
    expect((await http.get("/status?s=503", { validateStatus: (s) => s === 503 })).status).toBe(503);
    expect(server.accepted).toBe(1);
  });

  test("is followed to where it leads; maxRedirects 0 gives the 3xx, one too many fails", async () => {
    const { data, request } = await http.get("/hop?n=2");
    expect([data, request.url]).toEqual(["xxx", `${server.url}/bytes?n=3`]);
    const first = await failure(http.get("/hop?n=1", { maxRedirects: 0 }));
    expect([first.status, first.response?.headers.location]).toEqual([302, "/bytes?n=3"]);
    const many = await failure(http.get("/hop?n=9", { maxRedirects: 3 }));
    expect(many.code).toBe("ERR_FR_TOO_MANY_REDIRECTS");
    expect(many.cause).toBeInstanceOf(HttpError);
  });

  test("may not be larger than maxContentLength, read or streamed, and its connection is closed", async () => {
    const read = await failure(http.get("/bytes?n=200000", { maxContentLength: 1000 }));
    expect([read.code, read.message]).toEqual(["ERR_BAD_RESPONSE", "maxContentLength size of 1000 exceeded"]);
    const { data } = await http.get("/bytes?n=200000", { maxContentLength: 1000, responseType: "stream" });
    await expect(text(data)).rejects.toMatchObject({ code: "ERR_BAD_RESPONSE" });
    expect((await http.get("/bytes?n=1000", { maxContentLength: 1000 })).data.length).toBe(1000);
  });

  test("tells of its download", async () => {
    const events: AxiosProgressEvent[] = [];
    await http.get("/bytes?n=200000", { onDownloadProgress: (event) => events.push(event) });
    expect(events.at(-1)).toMatchObject({ loaded: 200_000, total: 200_000, progress: 1, download: true });
    const { data } = await http.get("/bytes?n=10", {
      responseType: "stream",
      onDownloadProgress: (event) => events.push(event),
    });
    await text(data);
    expect(events.at(-1)).toMatchObject({ loaded: 10, total: 10 });
  });

  test("that streams and is left gives its connection up, and leaves nothing on the signal", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const { data } = await http.get("/part", { responseType: "stream", signal: controller.signal });
    data.destroy();
    await server.openAtMost(0);
  });
});

describe("axiosAdapter(): what ends a call", () => {
  test("its signal, before the head: CanceledError, and the connection closes", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const call = http.get("/silence", { signal: controller.signal });
    const failed = failure(call);
    await once(server.server, "request");
    controller.abort();
    expect(axios.isCancel(await failed)).toBe(true);
    expect((await failed).code).toBe("ERR_CANCELED");
    await server.openAtMost(0);
  });

  test("its signal, while the body comes", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const { data } = await http.get("/part", { responseType: "stream", signal: controller.signal });
    const [chunk] = await once(data, "data");
    expect(`${chunk}`).toBe("part");
    controller.abort();
    const [error] = await once(data, "error");
    expect(axios.isCancel(error)).toBe(true);
    await server.openAtMost(0);
    const reading = failure(http.get("/part", { signal: AbortSignal.timeout(20) }));
    expect(axios.isCancel(await reading)).toBe(true);
    await server.openAtMost(0);
  });

  test("its cancel token, with its message", async () => {
    const { token, cancel } = axios.CancelToken.source();
    const failed = failure(http.get("/silence", { cancelToken: token }));
    await once(server.server, "request");
    cancel("enough");
    expect((await failed).message).toBe("enough");
    expect(axios.isCancel(await failed)).toBe(true);
    await server.openAtMost(0);
  });

  describe("its time limit", () => {
    let clock: SteeredClock;
    beforeEach(() => {
      clock = new SteeredClock();
      transport = new Transport({}, clock);
      http = axios.create({ baseURL: server.url, adapter: axiosAdapter(new Client({ transport }), axios) });
    });

    test.each([
      ["ECONNABORTED", {}],
      ["ETIMEDOUT", { transitional: { clarifyTimeoutError: true } }],
    ])("of the head, and of a body that is read: %s", async (code, config) => {
      for (const path of ["/silence", "/part"]) {
        const failed = failure(http.get(path, { timeout: 3_000, ...config }));
        await once(server.server, "request");
        await clock.advance(3_000);
        const { code: got, message } = await failed;
        expect([got, message]).toEqual([code, "timeout of 3000ms exceeded"]);
      }
      await server.openAtMost(0);
      const own = failure(http.get("/silence", { timeout: 3_000, timeoutErrorMessage: "too slow" }));
      await once(server.server, "request");
      await clock.advance(3_000);
      expect((await own).message).toBe("too slow");
    });

    test("is no limit of a stream", async () => {
      const { data } = await http.get("/part", { responseType: "stream", timeout: 3_000 });
      await once(data, "data");
      await clock.advance(10_000);
      expect([data.errored, data.destroyed]).toEqual([null, false]);
      data.destroy();
    });
  });

  test("a time limit of the transport, as ours with the reason", async () => {
    await using own = new Transport({ responseHeaderTimeout: 30 });
    const limited = axios.create({ adapter: axiosAdapter(new Client({ transport: own }), axios) });
    const error = await failure(limited.get(`${server.url}/silence`));
    expect(error.code).toBe("ECONNABORTED");
    expect(error.cause).toMatchObject({ code: "ERR_HTTP_TIMEOUT", option: "responseHeaderTimeout" });
  });

  test("nobody listens: ECONNREFUSED, with every address that was tried", async () => {
    const deaf = createServer().listen(0, "127.0.0.1");
    await once(deaf, "listening");
    const { port } = deaf.address() as { port: number };
    await new Promise((resolve) => deaf.close(resolve));
    const error = await failure(http.get(`http://127.0.0.1:${port}/`));
    expect(error.code).toBe("ECONNREFUSED");
    expect(error.cause).toBeInstanceOf(DialError);
    expect((error.cause as DialError).attempts).toHaveLength(1);
    expect(JSON.stringify(error)).toContain("ECONNREFUSED");
  });

  test("the server resets it: ECONNRESET; it cuts the body: ERR_BAD_RESPONSE, with ours as the cause", async () => {
    const reset = await failure(http.get("/reset"));
    expect(reset.code).toBe("ECONNRESET");
    expect(reset.cause).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", safeToRetry: true });
    const cut = await failure(http.get("/cut"));
    expect(cut.code).toBe("ERR_BAD_RESPONSE");
    expect(cut.cause).toMatchObject({ expected: 10, received: 4 });
    expect(cut.response?.status).toBe(200);
  });

  test("a URL that is none", async () => {
    expect((await failure(axios.get("nowhere", { adapter: axiosAdapter(client, axios) }))).code).toBe(
      "ERR_INVALID_URL",
    );
  });
});
