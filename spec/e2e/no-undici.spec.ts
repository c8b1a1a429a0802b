/**
 * undici stays out of a program that uses this client, as it is published: plain JavaScript in a process of its own makes
 * requests of every kind, over TCP and TLS, and at its end Node's list of loaded modules names no undici, nor node:http,
 * which loads it from Node 22 on. It does the same without the globals that come from there, and where touching one of
 * them throws. And the lint rule that keeps them out of lib/ fires.
 */

import { execFile, execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CertificateAuthority } from "../support/certs.ts";

const root = new URL("../..", import.meta.url).pathname;
const bin = (name: string) => join(root, "node_modules/.bin", name);
const GLOBALS = ["fetch", "Request", "Response", "Headers", "FormData", "WebSocket", "EventSource"];

const dir = mkdtempSync(join(tmpdir(), "spec-no-undici-"));
const authority = new CertificateAuthority();
const servers: Server[] = [];
const h2 = createSecureServer(authority.issue({ names: ["IP:127.0.0.1"] }));
let environment: NodeJS.ProcessEnv;
let programs = 0;

beforeAll(async () => {
  execFileSync(bin("tsx"), [".build/run.ts", join(dir, "dist")], { cwd: root });
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  const echo = (req: IncomingMessage, res: ServerResponse): void => {
    if (req.url === "/gzip") {
      req.resume();
      res.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("zipped"));
      return;
    }
    req.pipe(res);
  };
  const tls = createTlsServer(authority.issue({ names: ["DNS:localhost", "IP:127.0.0.1"] }), echo);
  servers.push(createServer(echo), tls as unknown as Server); // closed alike
  h2.on("stream", (stream) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => h2.listen(0, "127.0.0.1", resolve));
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  const [http, https] = ports;
  environment = {
    PATH: process.env["PATH"],
    HTTP_ORIGIN: `http://127.0.0.1:${http}`,
    HTTPS_ORIGIN: `https://127.0.0.1:${https}`,
    H2_ORIGIN: `https://127.0.0.1:${(h2.address() as AddressInfo).port}`,
    CA: authority.cert,
  };
}, 60_000);
afterAll(async () => {
  await new Promise((resolve) => h2.close(resolve));
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(dir, { recursive: true, force: true });
});

/** Requests of every kind, and errors. */
const REQUESTS = `
  const lib = await import("./dist/index.js");
  const { Readable } = await import("node:stream");
  const { Client, Transport, DialError, get } = lib;
  const { HTTP_ORIGIN, HTTPS_ORIGIN, CA } = process.env;
  const same = (got, wanted) => {
    if (got !== wanted) throw new Error(JSON.stringify(got) + " is not " + JSON.stringify(wanted));
  };

  same(await (await get(HTTP_ORIGIN)).text(), "");
  same(await (await lib.fetch(HTTP_ORIGIN)).text(), "");
  same(await (await lib.fetch("data:;base64,aGVsbG8=")).text(), "hello");
  const client = new Client({ transport: new Transport({ tls: { ca: CA } }), headers: { "x-default": "1" } });
  same(await (await client.get(HTTP_ORIGIN + "/gzip")).text(), "zipped");
  const bytes = new TextEncoder().encode("hello");
  const stream = () => new ReadableStream({ start(c) { c.enqueue(bytes); c.close(); } });
  // A FormData of the caller's own making, told by its tag as a polyfill's is.
  const form = {
    get [Symbol.toStringTag]() { return "FormData"; },
    append() {}, get() {}, getAll() {}, has() {}, set() {}, delete() {}, keys() {}, values() {}, forEach() {},
    *entries() { yield ["a", "1"]; yield ["f", new File(["hello"], "f.txt")]; },
    [Symbol.iterator]() { return this.entries(); },
  };
  const bodies = {
    text: "hello", unicode: "h\\u00e9", bytes, buffer: Buffer.from(bytes), arrayBuffer: bytes.buffer,
    view: new DataView(bytes.buffer), params: new URLSearchParams("a=1"), blob: new Blob(["hello"]),
    file: new File(["hello"], "f"), node: Readable.from([bytes]), web: stream(), list: ["hel", "lo"],
    set: new Set(["hello"]), generator: (async function* () { yield "hello"; })(), factory: () => "hello",
    slow: async () => stream(), long: "x".repeat(200000), form,
  };
  for (const origin of [HTTP_ORIGIN, HTTPS_ORIGIN]) {
    for (const [name, body] of Object.entries(bodies)) {
      if (origin === HTTPS_ORIGIN && ["node", "web", "set", "generator"].includes(name)) continue; // sent already
      const res = await client.post(origin, { body, timeout: 5000, signal: new AbortController().signal });
      const text = await res.text();
      if (text.length === 0) throw new Error("nothing came back of " + name);
    }
    same(await (await client.post(origin, { json: { a: 1 } })).json().then(JSON.stringify), '{"a":1}');
    same(await (await client.put(origin, { form: { a: "1" } })).text(), "a=1");
    same((await client.head(origin)).status, 200);
    for await (const _ of await client.post(origin, { body: "x" }));
    for await (const _ of (await client.post(origin, { body: "x" })).body);
    for await (const _ of (await client.post(origin, { body: "x" })).readable());
    await (await client.post(origin, { body: "x", expectContinue: true })).blob();
    await (await client.post(origin, { body: "x", trailers: { names: ["x-a"], values: { "x-a": "1" } } })).arrayBuffer();
    const copied = await client.post(origin, { body: "x" });
    same(await copied.clone().text() + await copied.text(), "xx");
    await (await client.get(origin, { trace: () => {}, onInformation: () => {} })).close();
    for (const body of [bodies.text, bodies.bytes, bodies.blob, form, stream()]) {
      const init = { method: "post", body, duplex: "half", headers: { "x-a": "1" }, signal: AbortSignal.timeout(5000) };
      const res = await client.fetch(new URL(origin), init);
      if ((await res.clone().text()) !== (await res.text())) throw new Error("the clone is another");
    }
    const digest = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    same(await (await client.fetch(origin, { method: "PUT", body: "hello", integrity: digest })).text(), "hello");
  }

  const failure = async (call) => { try { await call(); } catch (error) { return error; } throw new Error("no failure"); };
  same((await failure(() => client.get("http://127.0.0.1:1/"))) instanceof DialError, true);
  same((await failure(() => client.get(HTTP_ORIGIN.replace("http:", "https:")))).code, "ERR_HTTP_TLS");
  const failed = await failure(() => client.fetch(HTTP_ORIGIN.replace("http:", "https:")));
  same(failed.message + failed.cause.code, "fetch failedERR_HTTP_TLS");
  same((await failure(() => client.get("nowhere"))).code, "ERR_HTTP_LOCAL_PROTOCOL");
  same((await failure(() => client.post(HTTP_ORIGIN, { body: 5 }))).name, "TypeError");
  same((await failure(() => client.get(HTTP_ORIGIN, { signal: AbortSignal.abort() }))).name, "AbortError");
  await client.close();
  await client.transport.close();
  await lib.defaultClient.close();
`;

/** Runs a program beside the built library; gives the modules of Node's that it loaded. */
async function loadedBy(program: string): Promise<string[]> {
  const file = join(dir, `program-${++programs}.js`);
  writeFileSync(file, `${program}\nprocess.stdout.write(JSON.stringify(process.moduleLoadList));`);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: dir, env: environment });
  return JSON.parse(stdout);
}

const undici = (loaded: string[]) => loaded.filter((name) => /undici|NativeModule (_?http|https)\b/.test(name));

describe("a program that makes every kind of request, over TCP and TLS, and fails in some", () => {
  test("loads no undici, and node:http2 only when h2 was chosen", async () => {
    const plain = await loadedBy(`
      const { Client, Transport } = await import("./dist/index.js");
      const { h2 } = await import("./dist/h2/index.js");
      const client = new Client({ transport: new Transport({ tls: { ca: process.env.CA }, nextProtocols: { h2: h2() } }) });
      await (await client.get(process.env.HTTPS_ORIGIN)).text();
      await client.transport.close();
    `);
    expect(undici(plain)).toEqual([]);
    expect(plain.filter((name) => /http2/.test(name))).toEqual([]);
    const spoken = await loadedBy(`
      const { Client, Transport } = await import("./dist/index.js");
      const { h2 } = await import("./dist/h2/index.js");
      const client = new Client({ transport: new Transport({ tls: { ca: process.env.CA }, nextProtocols: { h2: h2() } }) });
      const res = await client.post(process.env.H2_ORIGIN, { body: "x" });
      if (res.httpVersion !== "2" || (await res.text()) !== "x") throw new Error("no HTTP/2");
      await client.transport.close();
    `);
    expect(spoken).toContain("NativeModule http2");
    expect(spoken.filter((name) => /undici/.test(name))).toEqual([]); // node:http comes with it, and does not load it
  });

  test("loads no undici, and no node:http", async () => {
    const loaded = await loadedBy(REQUESTS);
    expect(loaded).toContain("NativeModule net");
    expect(loaded).toContain("NativeModule tls");
    expect(undici(loaded)).toEqual([]);
  });

  test("runs where the globals that come from undici are deleted", async () => {
    const loaded = await loadedBy(`${GLOBALS.map((name) => `delete globalThis.${name};`).join("")}${REQUESTS}`);
    expect(undici(loaded)).toEqual([]);
  });

  test("runs where touching one of those globals throws", async () => {
    const poison = GLOBALS.map(
      (name) => `Object.defineProperty(globalThis, "${name}", { get() { throw new Error("${name} was touched"); } });`,
    );
    await loadedBy(poison.join("") + REQUESTS);
  });

  test.each(["new Headers();", "typeof FormData;", 'await import("node:http");'])(
    "would be found out by one `%s`",
    async (mention) => {
      expect(undici(await loadedBy(mention))).not.toEqual([]);
    },
  );
});

describe("importing the library", () => {
  test("loads neither TLS, zlib, web streams nor the parser before they are needed", async () => {
    const loaded = await loadedBy('await import("./dist/index.js");');
    expect(undici(loaded)).toEqual([]);
    for (const name of ["tls", "zlib"]) expect(loaded).not.toContain(`NativeModule ${name}`);
  });
});

describe("the lint rule", () => {
  /** Lints a file of lib/ with the project's own rules; gives the rules that it breaks. */
  function broken(text: string): string[] {
    const project = mkdtempSync(join(dir, "lint-"));
    mkdirSync(join(project, "lib"));
    cpSync(join(root, ".biome.json"), join(project, ".biome.json"));
    writeFileSync(join(project, "lib/some.ts"), text);
    const { stderr, stdout, status } = spawnSync(
      bin("biome"),
      ["lint", "--config-path=.biome.json", "--vcs-enabled=false", "lib/some.ts"],
      { cwd: project, encoding: "utf8" },
    );
    const rules = [...`${stdout}${stderr}`.matchAll(/lint\/\w+\/(\w+)/g)].map(([, rule]) => rule as string);
    if (status === 0) expect(rules).toEqual([]);
    return status === 0 ? [] : rules;
  }

  test.each(GLOBALS)("fires where lib/ names %s", (name) => {
    expect(broken(`export const made: unknown = ${name};\n`)).toContain("noRestrictedGlobals");
    expect(broken(`export const made: unknown = typeof ${name};\n`)).toContain("noRestrictedGlobals");
  });

  test.each(["node:http", "node:https"])("fires where lib/ imports %s", (name) => {
    expect(broken(`import { Agent } from "${name}";\nexport const made: unknown = Agent;\n`)).toContain(
      "noRestrictedImports",
    );
  });

  test.each([
    "globalThis.Headers",
    'globalThis["Headers"]',
    "typeof global.Headers",
    "(globalThis as { Headers?: unknown }).Headers",
    "Reflect.get(globalThis, 'Headers')",
    "(({ Headers: made }: typeof globalThis) => made)(globalThis)",
  ])("fires where lib/ reaches for %s", (expression) => {
    expect(broken(`export const made: unknown = ${expression};\n`)).not.toEqual([]);
  });

  test("is told to be quiet only where nothing is loaded, and where that is meant", () => {
    const lines = execFileSync("git", ["grep", "-h", "biome-ignore", "--", "lib"], { cwd: root, encoding: "utf8" });
    const excuses = lines.split("\n").filter((line) => line.includes("noRestricted"));
    const known = [
      "WebAssembly loads nothing; its types are those of the browser's library",
      "a type loads nothing",
      "its arithmetic of the calendar is used, never its clock",
      "the one place that is meant to load it",
      "who asks for an agent has loaded it",
    ];
    expect(excuses.length).toBeGreaterThan(0);
    for (const line of excuses) expect(known).toContain(line.slice(line.indexOf(": ") + 2));
  });

  test("is quiet about what is ours", () => {
    expect(broken('import { Headers } from "./message/headers.ts";\nexport const made = new Headers();\n')).toEqual([]);
  });
});
