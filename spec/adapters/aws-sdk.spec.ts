/** The SDK's own S3 client over the handler, against a server that speaks as much of S3 as it takes. */

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:net";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AwsRequestHandler } from "../../lib/adapters/aws-sdk.ts";
import { DialError, Transport } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { bodyOf, type CountingServer, countingServer } from "../support/counting-server.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { SteeredClock } from "../support/steered-clock.ts";

const leaks = checkLeaks();
const authority = new CertificateAuthority();
const Bucket = "bucket";
let certificate: { cert: string; key: string };
let server: CountingServer;
let objects: Map<string, { bytes: Buffer; headers: Record<string, string> }>;
let seen: IncomingMessage[];
/** Requests that were told to go on with their bodies. */
let continued: number;
/** Bytes of bodies that were sent after a refusal. */
let unwanted: number;
/** How the next requests are answered, before the store answers the rest. */
let script: ((req: IncomingMessage, res: ServerResponse) => void)[];
let clock: SteeredClock;
let transport: Transport;
const clients: S3Client[] = [];

beforeAll(() => {
  certificate = authority.issue({ names: ["IP:127.0.0.1"] });
});
beforeEach(async () => {
  objects = new Map();
  seen = [];
  script = [];
  continued = 0;
  unwanted = 0;
  server = await countingServer(serve, certificate);
  server.server.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => {
    if (req.url?.includes("forbidden")) {
      req.on("data", (chunk: Buffer) => {
        unwanted += chunk.length;
      });
      return refuse(res, 403, "AccessDenied");
    }
    continued++;
    res.writeContinue();
    serve(req, res);
  });
  clock = new SteeredClock();
  transport = new Transport({ tls: { ca: authority.cert } }, clock);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await transport.destroy();
  await server[Symbol.asyncDispose]();
});
afterAll(() => {
  expect(clients).toEqual([]);
});

function s3(config: S3ClientConfig = {}): S3Client {
  const client = new S3Client({
    region: "eu-central-1",
    endpoint: server.url,
    forcePathStyle: true,
    credentials: { accessKeyId: "AKID", secretAccessKey: "SECRET" },
    requestHandler: new AwsRequestHandler(transport),
    retryMode: "standard",
    ...config,
  });
  clients.push(client);
  return client;
}

function serve(req: IncomingMessage, res: ServerResponse): void {
  seen.push(req);
  const scripted = script.shift();
  if (scripted !== undefined) return scripted(req, res);
  const { pathname, searchParams } = new URL(req.url as string, "https://server/");
  const key = decodeURIComponent((req.url as string).split("?")[0]?.slice(`/${Bucket}/`.length) ?? "");
  if (pathname === `/${Bucket}` || pathname === `/${Bucket}/`) return list(searchParams.get("prefix") ?? "", res);
  void store(req, res, key);
}

async function store(req: IncomingMessage, res: ServerResponse, key: string): Promise<void> {
  const object = objects.get(key);
  switch (req.method) {
    case "PUT": {
      const raw = await bodyOf(req).catch(() => null);
      if (raw === null) return; // aborted
      const bytes = `${req.headers["content-encoding"]}`.includes("aws-chunked") ? unchunked(raw) : raw;
      const type = req.headers["content-type"];
      objects.set(key, { bytes, headers: type === undefined ? {} : { "content-type": type } });
      res.writeHead(200, { etag: `"${createHash("md5").update(bytes).digest("hex")}"` }).end();
      return;
    }
    case "DELETE":
      objects.delete(key);
      res.writeHead(204).end();
      return;
    default:
      if (object === undefined) return refuse(res, 404, "NoSuchKey");
      res.writeHead(200, { "content-length": object.bytes.length, ...object.headers });
      res.end(req.method === "HEAD" ? undefined : object.bytes);
  }
}

function refuse(res: ServerResponse, status: number, code: string): void {
  res.writeHead(status, { "content-type": "application/xml" });
  res.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} it is</Message></Error>`);
}

function list(prefix: string, res: ServerResponse): void {
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  const contents = keys.map(
    (key) => `<Contents><Key>${key}</Key><Size>${objects.get(key)?.bytes.length}</Size></Contents>`,
  );
  res.writeHead(200, { "content-type": "application/xml" });
  res.end(
    `<?xml version="1.0"?><ListBucketResult><KeyCount>${keys.length}</KeyCount>${contents.join("")}</ListBucketResult>`,
  );
}

/** The chunks of S3's own coding, its trailer dropped. */
function unchunked(raw: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = raw.indexOf("\r\n", at);
    const size = Number.parseInt(raw.toString("latin1", at, end), 16);
    if (size === 0) return Buffer.concat(parts);
    parts.push(raw.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}

async function failure(
  call: Promise<unknown>,
): Promise<Error & { code?: string; cause?: unknown; $metadata?: { attempts?: number } }> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error; // as was just seen
}

describe("AwsRequestHandler: S3", () => {
  test("puts, gets, looks at, lists and deletes, all over one connection", async () => {
    const client = s3();
    const Key = "folder/näme (1)!*'.txt";
    await client.send(new PutObjectCommand({ Bucket, Key, Body: "text", ContentType: "text/plain" }));
    const got = await client.send(new GetObjectCommand({ Bucket, Key }));
    expect([got.ContentType, await got.Body?.transformToString()]).toEqual(["text/plain", "text"]);
    expect((await client.send(new HeadObjectCommand({ Bucket, Key }))).ContentLength).toBe(4);
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: "folder/", MaxKeys: 10 }));
    expect(Contents).toEqual([{ Key, Size: 4 }]);
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    expect(objects.size).toBe(0);
    expect(server.accepted).toBe(1);
    expect(seen.every(({ headers }) => headers.authorization?.startsWith("AWS4-HMAC-SHA256 Credential=AKID/"))).toBe(
      true,
    );
  });

  test("a key goes out as it was signed, dots and all", async () => {
    const client = s3();
    for (const Key of ["a/../b", "./c", "d//e", "f%2Fg"]) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      expect(await Body?.transformToString()).toBe(Key);
      expect(objects.has(Key)).toBe(true);
    }
  });

  test("puts a stream of known length, in S3's chunks with a checksum behind it, and streams it back", async () => {
    const client = s3();
    const bytes = randomBytes(1_000_000);
    const pieces = Array.from({ length: 16 }, (_, i) => bytes.subarray(i * 62_500, (i + 1) * 62_500));
    await client.send(
      new PutObjectCommand({ Bucket, Key: "large", Body: Readable.from(pieces), ContentLength: bytes.length }),
    );
    expect(seen[0]?.headers).toMatchObject({
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": "1000000",
    });
    expect(objects.get("large")?.bytes.equals(bytes)).toBe(true);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: "large" }));
    expect(Body).toBeInstanceOf(Readable);
    const back: Buffer[] = [];
    for await (const chunk of Body as Readable) back.push(chunk);
    expect(Buffer.concat(back).equals(bytes)).toBe(true);
    expect(server.accepted).toBe(1);
  });

  test.each([
    ["bytes", () => new Uint8Array([1, 2, 3]), 3],
    ["a Buffer", () => Buffer.from("abc"), 3],
    ["nothing", () => "", 0],
  ])("puts %s", async (_, make, length) => {
    await s3().send(new PutObjectCommand({ Bucket, Key: "k", Body: make() }));
    expect(objects.get("k")?.bytes.length).toBe(length);
  });

  test("what is stored encoded comes as it is stored", async () => {
    const bytes = gzipSync("packed");
    objects.set("z", { bytes, headers: { "content-encoding": "gzip" } });
    const { Body, ContentEncoding, ContentLength } = await s3().send(new GetObjectCommand({ Bucket, Key: "z" }));
    expect(Buffer.from((await Body?.transformToByteArray()) ?? [])).toEqual(bytes);
    expect([ContentEncoding, ContentLength]).toEqual(["gzip", bytes.length]);
  });
});

describe("AwsRequestHandler: Expect: 100-continue", () => {
  const put = (Key: string, Body: Readable | Buffer) =>
    new PutObjectCommand({ Bucket, Key, Body, ContentLength: 3_000_000 });

  test("the body waits for the server's word", async () => {
    await s3({ expectContinueHeader: true }).send(put("ok", Buffer.alloc(3_000_000)));
    expect(seen[0]?.headers.expect).toBe("100-continue");
    expect([continued, objects.get("ok")?.bytes.length]).toEqual([1, 3_000_000]);
  });

  test("a refusal comes without it being sent", async () => {
    const error = await failure(s3({ expectContinueHeader: true }).send(put("forbidden", Buffer.alloc(3_000_000))));
    expect([error.name, continued, unwanted]).toEqual(["AccessDenied", 0, 0]);
  });
});

describe("AwsRequestHandler: failures", () => {
  test("an error of S3's is one of the SDK's, and its connection serves on", async () => {
    const client = s3();
    const error = await failure(client.send(new GetObjectCommand({ Bucket, Key: "none" })));
    expect(error).toBeInstanceOf(NoSuchKey);
    await failure(client.send(new GetObjectCommand({ Bucket, Key: "none" })));
    expect(server.accepted).toBe(1);
  });

  test.each<[string, (req: IncomingMessage, res: ServerResponse) => void]>([
    ["a 503", (_, res) => refuse(res, 503, "SlowDown")],
    ["a reset", (req) => req.socket.destroy()],
    ["an end without an answer", (req) => req.socket.end()],
  ])("the SDK tries again after %s", async (_, fail) => {
    const client = s3({ maxAttempts: 3 });
    script.push(fail);
    const { $metadata } = await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "text" }));
    expect($metadata.attempts).toBe(2);
    expect(objects.get("k")?.bytes.toString()).toBe("text");
  });

  test("nobody listens: the system's code, and ours as the cause", async () => {
    const deaf = createServer().listen(0, "127.0.0.1");
    await once(deaf, "listening");
    const { port } = deaf.address() as { port: number };
    await new Promise((resolve) => deaf.close(resolve));
    const client = s3({ endpoint: `https://127.0.0.1:${port}`, maxAttempts: 2 });
    const error = await failure(client.send(new ListObjectsV2Command({ Bucket })));
    expect([error.code, error.$metadata?.attempts]).toEqual(["ECONNREFUSED", 2]);
    expect(error.cause).toBeInstanceOf(DialError);
  });

  test("a certificate that nobody trusts is not tried again", async () => {
    const strict = new Transport();
    const client = s3({ requestHandler: new AwsRequestHandler(strict) });
    const error = await failure(client.send(new ListObjectsV2Command({ Bucket })));
    expect([error.name, error.$metadata?.attempts]).toEqual(["TlsError", 1]);
    await strict.destroy();
  });
});

describe("AwsRequestHandler: what ends a call", () => {
  test("its signal, before the head: AbortError, not tried again, and the connection closes", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    script.push(() => {});
    const call = failure(s3().send(new GetObjectCommand({ Bucket, Key: "k" }), { abortSignal: controller.signal }));
    await once(server.server, "request");
    controller.abort();
    const error = await call;
    expect([error.name, seen.length]).toEqual(["AbortError", 1]);
    await server.openAtMost(0);
  });

  test("its signal, while the body comes", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    script.push((_, res) => res.writeHead(200, { "content-length": 10 }).write("part"));
    const { Body } = await s3().send(new GetObjectCommand({ Bucket, Key: "k" }), { abortSignal: controller.signal });
    const body = Body as Readable;
    await once(body, "data");
    controller.abort();
    expect((await once(body, "error"))[0]).toMatchObject({ name: "AbortError" });
    await server.openAtMost(0);
  });

  test("its signal, while a stream is sent: the stream is destroyed", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const endless = Readable.from(
      (async function* () {
        for (;;) yield Buffer.alloc(10_000);
      })(),
    );
    const put = new PutObjectCommand({ Bucket, Key: "k", Body: endless, ContentLength: 1e12 });
    // With a checksum behind it, the SDK would read it through a stream of its own, which lets it run.
    const client = s3({ requestChecksumCalculation: "WHEN_REQUIRED" });
    const call = failure(client.send(put, { abortSignal: controller.signal }));
    await once(server.server, "checkContinue");
    controller.abort();
    expect((await call).name).toBe("AbortError");
    await server.openAtMost(0);
    if (!endless.destroyed) await once(endless, "close");
  });

  test("requestTimeout, of the handler or of the call, to the head", async () => {
    const client = s3({ requestHandler: new AwsRequestHandler(transport, { requestTimeout: 5_000 }), maxAttempts: 1 });
    for (const [options, ms] of [
      [{}, 5_000],
      [{ requestTimeout: 2_000 }, 2_000],
    ] as const) {
      script.push(() => {});
      const call = failure(client.send(new GetObjectCommand({ Bucket, Key: "k" }), options));
      await once(server.server, "request");
      await clock.advance(ms);
      const error = await call;
      expect([error.name, error.code, error.message]).toEqual([
        "TimeoutError",
        "ETIMEDOUT",
        `No answer within ${ms} ms (requestTimeout)`,
      ]);
    }
    await server.openAtMost(0);
    objects.set("k", { bytes: Buffer.alloc(1_000_000), headers: {} });
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: "k" }));
    await clock.advance(10_000);
    expect((await Body?.transformToByteArray())?.length).toBe(1_000_000);
  });

  test("client.destroy() leaves the transport to whoever made it", async () => {
    const one = s3();
    await one.send(new ListObjectsV2Command({ Bucket }));
    one.destroy();
    await s3().send(new ListObjectsV2Command({ Bucket }));
    expect([server.accepted, transport.stats().idle]).toEqual([1, 1]);
  });
});

test("AwsRequestHandler keeps what it is configured with, and is refused without a transport", () => {
  const handler = new AwsRequestHandler(transport, { requestTimeout: 5 });
  handler.updateHttpClientConfig("requestTimeout", 7);
  expect(handler.httpHandlerConfigs()).toEqual({ requestTimeout: 7 });
  expect(() => new AwsRequestHandler({} as Transport)).toThrow(/transport must be a Transport/);
});
