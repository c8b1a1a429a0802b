/**
 * Against Node's own server: what it reads is what was sent, and what it sends is what is read, for every kind of body,
 * around every size at which the way of writing or reading changes.
 */

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CallInit, Client, type Information } from "../../lib/index.ts";
import { acceptEncoding } from "../../lib/message/decode.ts";

const KIB = 1024;
const SIZES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 1024 * KIB];

/** What the server saw of a request. */
interface Seen {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly length: number;
  readonly sum: string;
}

let server: Server;
let client: Client;
let url: string;

beforeAll(async () => {
  server = createServer((req, res) => void serve(req, res));
  server.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => {
    if (req.url === "/refuse") {
      res.writeHead(417).end("no");
      return;
    }
    res.writeContinue();
    void serve(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new Client();
});
afterAll(async () => {
  await client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const { pathname, searchParams } = new URL(req.url as string, "http://server/");
  switch (pathname) {
    case "/echo":
      if (searchParams.has("length")) res.setHeader("content-length", body.length);
      for (let at = 0; at < body.length; at += 10_000) res.write(body.subarray(at, at + 10_000));
      res.end();
      return;
    case "/bytes": {
      const bytes = pattern(Number(searchParams.get("n")));
      if (searchParams.has("length")) res.setHeader("content-length", bytes.length);
      res.write(bytes.subarray(0, 7));
      res.end(bytes.subarray(7));
      return;
    }
    case "/status":
      res.writeHead(Number(searchParams.get("status")));
      res.end(searchParams.has("body") ? "body" : undefined);
      return;
    case "/trailers":
      res.writeHead(200, { trailer: "x-sum, x-end" });
      res.write("part");
      res.addTrailers([
        ["X-Sum", "4"],
        ["x-end", "yes"],
      ]);
      res.end();
      return;
    case "/early":
      res.writeProcessing();
      res.writeEarlyHints({ link: "</a.css>; rel=preload" });
      res.end("done");
      return;
    default: {
      const { method = "", url: target = "", rawHeaders, rawTrailers } = req;
      const seen: Seen = { method, target, rawHeaders, rawTrailers, length: body.length, sum: sumOf(body) };
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify(seen));
    }
  }
}

/** Bytes of which no two stretches are alike. */
function pattern(n: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(n);
  for (let i = 0; i < n; i++) bytes[i] = (i * 31 + (i >> 8)) & 255;
  return bytes;
}

function sumOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** In uneven pieces. */
function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = Math.min(size * 3, 100_000)) {
    yield bytes.subarray(at, at + size);
  }
}

async function* slowly(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (const piece of pieces(bytes)) {
    await new Promise((resolve) => setImmediate(resolve));
    yield piece;
  }
}

/** Every kind of body, with whether its length is known. */
const kinds: Record<string, readonly ["length" | "chunked", (bytes: Buffer<ArrayBuffer>) => CallInit["body"]]> = {
  "a Buffer": ["length", (bytes) => bytes],
  "a part of a larger array": [
    "length",
    (bytes) => new Uint8Array(Buffer.concat([Buffer.alloc(3), bytes])).subarray(3),
  ],
  "an ArrayBuffer": ["length", (bytes) => Uint8Array.from(bytes).buffer],
  "a DataView": ["length", (bytes) => new DataView(Uint8Array.from(bytes).buffer)],
  "a list of parts": ["length", (bytes) => [...pieces(bytes)]],
  "a Blob": ["length", (bytes) => new Blob([bytes])],
  "a Node stream": ["chunked", (bytes) => Readable.from(pieces(bytes))],
  "a web stream": ["chunked", (bytes) => ReadableStream.from(pieces(bytes)) as never],
  "an iterator": ["chunked", (bytes) => pieces(bytes)],
  "an async generator": ["chunked", (bytes) => slowly(bytes)],
  "a factory of bytes": ["chunked", (bytes) => () => bytes],
  "an async factory of a Blob": ["chunked", (bytes) => async () => new Blob([bytes])],
  "a factory of a Node stream": ["chunked", (bytes) => () => Readable.from(pieces(bytes))],
  "a factory of an async generator": ["chunked", (bytes) => () => slowly(bytes)],
};

async function see(method: string, init: CallInit, path = "/see"): Promise<Seen> {
  return (await client.request(method, url + path, init)).json<Seen>();
}

function field(seen: Seen, name: string): string | null {
  for (let i = 0; i < seen.rawHeaders.length; i += 2) {
    if (seen.rawHeaders[i]?.toLowerCase() === name) return seen.rawHeaders[i + 1] ?? null;
  }
  return null;
}

describe.each(Object.entries(kinds))("%s", (_, [framing, make]) => {
  test.each(SIZES)("of %i bytes is what the server reads, framed as its length is known", async (size) => {
    const bytes = pattern(size);
    const seen = await see("POST", { body: make(bytes) });
    expect(seen).toMatchObject({ method: "POST", length: size, sum: sumOf(bytes) });
    const expected = framing === "length" ? [`${size}`, null] : [null, "chunked"];
    expect([field(seen, "content-length"), field(seen, "transfer-encoding")]).toEqual(expected);
  });

  test.each(SIZES)("of %i bytes comes back whole, by length and by chunks", async (size) => {
    const bytes = pattern(size);
    for (const path of ["/echo?length", "/echo"]) {
      const res = await client.post(url + path, { body: make(bytes) });
      expect(sumOf(await res.bytes())).toBe(sumOf(bytes));
    }
  });

  test("behind Expect: 100-continue, and with trailers", async () => {
    const bytes = pattern(100_000);
    const patient = await see("PUT", { body: make(bytes), expectContinue: true });
    expect(patient).toMatchObject({ length: 100_000, sum: sumOf(bytes) });
    const trailing = await see("PUT", {
      body: make(bytes),
      trailers: { names: ["X-Sum"], values: () => ({ "X-Sum": sumOf(bytes) }) },
    });
    expect(trailing).toMatchObject({ length: 100_000, sum: sumOf(bytes), rawTrailers: ["X-Sum", sumOf(bytes)] });
    expect(field(trailing, "transfer-encoding")).toBe("chunked");
  });

  test("in the framing that the caller asks for", async () => {
    const bytes = pattern(100_000);
    const counted = await see("POST", { body: make(bytes), headers: { "Content-Length": "100000" } });
    expect(counted).toMatchObject({ length: 100_000, sum: sumOf(bytes) });
    expect(field(counted, "transfer-encoding")).toBe(null);
    const chunked = await see("POST", { body: make(bytes), headers: { "Transfer-Encoding": "chunked" } });
    expect(chunked).toMatchObject({ length: 100_000, sum: sumOf(bytes) });
    expect(field(chunked, "content-length")).toBe(null);
  });
});

describe("bodies that have a form of their own", () => {
  test.each([0, 1, 64 * KIB, 64 * KIB + 1])("a text of %i characters, ASCII and not", async (size) => {
    for (const character of ["x", "é", "€", "😀"]) {
      const text = character.repeat(size);
      const seen = await see("POST", { body: text });
      expect(seen).toMatchObject({ length: Buffer.byteLength(text), sum: sumOf(Buffer.from(text)) });
      expect(field(seen, "content-type")).toBe("text/plain;charset=UTF-8");
    }
  });

  test("JSON, a form, URLSearchParams, FormData, a File", async () => {
    const json = await see("POST", { json: { a: "é" } });
    expect(json.sum).toBe(sumOf(Buffer.from('{"a":"é"}')));
    expect(field(json, "content-type")).toBe("application/json");
    const form = await see("POST", { form: { a: "1 2", b: ["x", "y"] } });
    expect(form.sum).toBe(sumOf(Buffer.from("a=1+2&b=x&b=y")));
    const params = await see("POST", { body: new URLSearchParams({ a: "é" }) });
    expect(params.sum).toBe(sumOf(Buffer.from("a=%C3%A9")));
    expect(field(params, "content-type")).toBe("application/x-www-form-urlencoded;charset=UTF-8");
    const data = new FormData();
    data.append("a", "1");
    data.append("f", new Blob([pattern(100_000)], { type: "x/y" }), "f.bin");
    const multipart = await see("POST", { body: data as never });
    expect(field(multipart, "content-type")).toMatch(/^multipart\/form-data; ?boundary=/);
    expect(field(multipart, "content-length")).toBe(`${multipart.length}`);
    expect(multipart.length).toBeGreaterThan(100_000);
    const file = await see("POST", { body: new File([pattern(10)], "f", { type: "a/b" }) });
    expect(file).toMatchObject({ length: 10, sum: sumOf(pattern(10)) });
    expect(field(file, "content-type")).toBe("a/b");
  });
});

describe("methods", () => {
  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "REPORT", "PROPFIND", "M-SEARCH"])(
    "%s goes out as it is, with a body and without",
    async (method) => {
      const bare = await see(method, {}, "/see?a=b%20c&d");
      expect(bare).toMatchObject({ method, target: "/see?a=b%20c&d", length: 0 });
      const says = ["POST", "PUT", "PATCH"].includes(method) ? "0" : null;
      expect(field(bare, "content-length")).toBe(says);
      expect(await see(method, { body: "hello" })).toMatchObject({ method, length: 5 });
    },
  );

  test("the client's short forms", async () => {
    for (const method of ["get", "post", "put", "patch", "delete", "options"] as const) {
      const seen = await (await client[method](`${url}/see`)).json<Seen>();
      expect(seen.method).toBe(method.toUpperCase());
    }
    const head = await client.head(`${url}/bytes?n=100&length`);
    expect(head.headers.get("content-length")).toBe("100");
    expect((await head.bytes()).length).toBe(0);
  });

  test("OPTIONS *", async () => {
    expect(await see("OPTIONS", { target: "*" })).toMatchObject({ method: "OPTIONS", target: "*" });
  });

  test("headers in the caller's order and case, repeats kept, behind ours", async () => {
    const seen = await see("GET", {
      headers: [
        ["X-b", "1"],
        ["x-A", "2"],
        ["X-b", "3"],
        ["aCCept", "text/plain"],
        ["X-latin", "caf\xe9"],
      ],
    });
    expect(seen.rawHeaders).toEqual([
      "Host",
      new URL(url).host,
      "User-Agent",
      "persistconn/0.1.0",
      "Accept-Encoding",
      acceptEncoding(),
      "X-b",
      "1",
      "x-A",
      "2",
      "X-b",
      "3",
      "aCCept",
      "text/plain",
      "X-latin",
      "caf\xe9",
    ]);
  });
});

describe("answers", () => {
  describe.each(["length", "chunked"])("by %s", (framing) => {
    test.each(SIZES)("of %i bytes, read in every way", async (size) => {
      const path = `${url}/bytes?n=${size}${framing === "length" ? "&length" : ""}`;
      const expected = sumOf(pattern(size));
      const gather = async (chunks: AsyncIterable<Uint8Array>) => {
        const all: Uint8Array[] = [];
        for await (const chunk of chunks) all.push(chunk);
        return sumOf(Buffer.concat(all));
      };
      expect(sumOf(await (await client.get(path)).bytes())).toBe(expected);
      expect(sumOf(Buffer.from(await (await client.get(path)).arrayBuffer()))).toBe(expected);
      expect(sumOf(Buffer.from(await (await (await client.get(path)).blob()).arrayBuffer()))).toBe(expected);
      expect(await gather(await client.get(path))).toBe(expected);
      expect(await gather((await client.get(path)).body as AsyncIterable<Uint8Array>)).toBe(expected);
      expect(await gather((await client.get(path)).readable())).toBe(expected);
      const copy = await client.get(path);
      const [one, two] = await Promise.all([copy.clone().bytes(), copy.bytes()]);
      expect([sumOf(one), sumOf(two)]).toEqual([expected, expected]);
    });

    test.each(SIZES)("to HEAD, for %i bytes: no body, and the connection lives on", async (size) => {
      const path = `${url}/bytes?n=${size}${framing === "length" ? "&length" : ""}`;
      const res = await client.head(path);
      expect(res.status).toBe(200);
      expect(res.body).toBe(null);
      if (framing === "length") expect(res.headers.get("content-length")).toBe(`${size}`);
      expect((await see("GET", {})).method).toBe("GET");
    });
  });

  test.each([200, 201, 206, 299, 300, 404, 418, 500, 599])("%i with a body and without", async (status) => {
    expect(await (await client.get(`${url}/status?status=${status}&body`)).text()).toBe("body");
    const bare = await client.get(`${url}/status?status=${status}`);
    expect(bare.status).toBe(status);
    expect(await bare.text()).toBe("");
  });

  test.each([204, 304])("%i has no body, and the connection lives on", async (status) => {
    const res = await client.get(`${url}/status?status=${status}&body`);
    expect(res.status).toBe(status);
    expect(res.body).toBe(null);
    expect(await res.text()).toBe("");
    expect((await client.get(`${url}/see`)).connection?.reused).toBe(true);
  });

  test("with trailers", async () => {
    const res = await client.get(`${url}/trailers`);
    expect(await res.text()).toBe("part");
    expect(res.trailers?.raw).toEqual([
      ["X-Sum", "4"],
      ["x-end", "yes"],
    ]);
  });

  test("behind 102 and 103", async () => {
    const heard: Information[] = [];
    const res = await client.get(`${url}/early`, { onInformation: (information) => heard.push(information) });
    expect(await res.text()).toBe("done");
    expect(heard.map(({ status }) => status)).toEqual([102, 103]);
    expect(heard[1]?.headers.get("link")).toBe("</a.css>; rel=preload");
  });

  test("417 to an expectation: nothing of the body is sent", async () => {
    const res = await client.post(`${url}/refuse`, { body: "x".repeat(100_000), expectContinue: true });
    expect(res.status).toBe(417);
    expect(await res.text()).toBe("no");
  });
});

test("two hundred requests of all kinds at once come back to who sent them", async () => {
  const names = Object.keys(kinds);
  const calls = Array.from({ length: 200 }, async (_, n) => {
    const bytes = pattern(1 + ((n * 7919) % 90_000));
    const [, make] = kinds[names[n % names.length] as string] as (typeof kinds)[string];
    const res = await client.post(`${url}/echo${n % 2 ? "?length" : ""}`, { body: make(bytes) });
    expect(sumOf(await res.bytes())).toBe(sumOf(bytes));
  });
  await Promise.all(calls);
});
