/**
 * No process is kept alive by what is idle, and none ends while a request is under way: short scripts, each run as a
 * process of its own that never calls `close()`.
 *
 * A script tells what would still keep it alive when its last await is over, and must then end by itself: what could
 * hold it (an idle connection, a detached dial, an armed deadline) would do so for longer than a spec may take.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { CertificateAuthority } from "../support/certs.ts";
import { h2Ca, h2Peer, hello } from "../support/h2-peer.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";

checkLeaks();

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const authority = new CertificateAuthority();
const certificate = authority.issue({ names: ["IP:127.0.0.1"] });

/** Stands round each script. */
const framed = (script: string) => `
  import { Client, Transport, get } from "./lib/index.ts";
  const { PEER: url, CA: ca } = process.env;
  const print = (line) => process.stdout.write(line + "\\n");
  const printFailure = (error) => print(error.name + ": " + error.message);
  ${script}
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn().then(turn); // handles that were closed are gone then
  const held = process.getActiveResourcesInfo().filter((type) => /TCP|TLS|Timeout|Connect|Addr|Shutdown|Write/.test(type));
  print("over, held by [" + held + "]");
`;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL"); // those that did not end
});

class Script {
  readonly #child: ChildProcess;
  #printed = "";
  #wake: (() => void)[] = [];
  /** Its exit code and all that it printed. */
  readonly ended: Promise<{ code: number | null; printed: string }>;

  constructor(url: string, script: string, ca = authority.cert) {
    this.#child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", framed(script)], {
      cwd: ROOT,
      env: { ...process.env, PEER: url, CA: ca },
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(this.#child);
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#printed += text;
      for (const wake of this.#wake.splice(0)) wake();
    });
    this.ended = once(this.#child, "close").then(([code]) => ({ code, printed: this.#printed }));
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits until it has printed a line that begins so. */
  async says(line: string): Promise<void> {
    while (!`\n${this.#printed}`.includes(`\n${line}`)) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }
}

/** Accepts a connection, answers the requests on it, and keeps it open. */
async function answering(peer: ScriptedPeer, ...answers: string[]): Promise<PeerConn> {
  const conn = await peer.accept();
  for (const answer of answers) {
    await conn.readHead();
    conn.reply(answer);
  }
  return conn;
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndata";
/** The last line of a script that nothing holds. */
const FREE = "over, held by []\n";

describe("a process ends by itself after its last await", () => {
  test("with an idle connection to an http origin", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(
      peer.url(),
      `
      const client = new Client();
      print(await (await client.get(url)).text());
      print(await (await client.get(url)).text());
      `,
    );
    await answering(peer, OK, OK);
    expect(await script.ended).toEqual({ code: 0, printed: `data\ndata\n${FREE}` });
  });

  test("with the default client, and a time limit that is not up", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(peer.url(), `print(await (await get(url, { timeout: 60_000 })).text());`);
    await answering(peer, OK);
    expect(await script.ended).toEqual({ code: 0, printed: `data\n${FREE}` });
  });

  test.each([
    ["tls.ca", "{ ca }"],
    ["tls.rejectUnauthorized: false", "{ rejectUnauthorized: false }"],
  ])("with an idle connection to an https origin (%s)", async (_, tls) => {
    await using peer = await scriptedPeer({ serverTls: certificate });
    const script = new Script(
      peer.url(),
      `
      const client = new Client({ transport: new Transport({ tls: ${tls} }) });
      print(await (await client.get(url)).text());
      `,
    );
    await answering(peer, OK);
    expect(await script.ended).toEqual({ code: 0, printed: `data\n${FREE}` });
  });

  test("with a small body that nobody reads", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(peer.url(), `print("status " + (await new Client().get(url)).status);`);
    await answering(peer, OK);
    expect(await script.ended).toEqual({ code: 0, printed: `status 200\n${FREE}` });
  });

  test.each([
    ["that is too long to be read to its end", 100_000_000],
    ["that is read to its end behind the caller's back", 10],
  ])("with a closed body %s", async (_, length) => {
    await using peer = await scriptedPeer();
    const script = new Script(peer.url(), `await (await new Client().get(url)).close();`);
    await answering(peer, `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\ndata`);
    expect(await script.ended).toEqual({ code: 0, printed: FREE });
  });

  test("with a connection whose request was aborted while it was made", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(
      peer.url(),
      `
      const controller = new AbortController();
      const call = new Client().get(url, { signal: controller.signal });
      controller.abort(new Error("no longer wanted"));
      await call.catch(printFailure);
      `,
    );
    await peer.accept();
    expect(await script.ended).toMatchObject({ code: 0, printed: expect.stringMatching(/^Error: no longer wanted\n/) });
  });

  test("with a handshake that goes on without its aborted request", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(
      peer.url().replace("http:", "https:"),
      `
      const controller = new AbortController();
      const trace = ({ type }) => {
        if (type === "connect-done") setImmediate(() => controller.abort(new Error("no longer wanted")));
      };
      await new Client().get(url, { signal: controller.signal, trace }).catch(printFailure);
      `,
    );
    await peer.accept();
    expect(await script.ended).toEqual({ code: 0, printed: `Error: no longer wanted\n${FREE}` });
  });

  test("soon, with a connect that goes on without its aborted request: it is given up", async () => {
    // A server that is stopped, with as many connections waiting as it may have: the next one gets no answer.
    const listen =
      "createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port); })";
    const server = spawn(process.execPath, ["-e", `require("net").${listen}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(server);
    const [line] = await once(server.stdout as Readable, "data");
    server.kill("SIGSTOP");
    const port = Number(String(line));
    const full = [1, 2, 3, 4].map(() => connect(port, "127.0.0.1").on("error", () => {}));
    await Promise.all(full.slice(0, 2).map((socket) => once(socket, "connect")));
    const script = new Script(
      `http://127.0.0.1:${port}/`,
      `
      const controller = new AbortController();
      const trace = ({ type }) => {
        if (type === "connect-start") setImmediate(() => controller.abort(new Error("no longer wanted")));
      };
      await new Client().get(url, { signal: controller.signal, trace }).catch(printFailure);
      const since = performance.now();
      process.on("exit", () => print(performance.now() - since < 5000 ? "soon" : "late"));
      `,
    );
    const { printed } = await script.ended;
    for (const socket of full) socket.destroy();
    expect(printed).toMatch(/^Error: no longer wanted\n(.*\n)*soon\n$/);
  });

  test("with an idle HTTP/2 connection, and one whose stream was aborted", async () => {
    await using peer = await h2Peer((stream, headers, index) => {
      if (headers[":path"] === "/") hello(stream, headers, index);
    });
    const script = new Script(
      peer.url(),
      `
      const { h2 } = await import("./lib/h2/index.ts");
      const client = new Client({ transport: new Transport({ tls: { ca }, nextProtocols: { h2: h2() } }) });
      print(await (await client.get(url)).text());
      const signal = AbortSignal.timeout(20);
      await client.get(url + "deaf", { signal }).catch(printFailure);
      `,
      h2Ca,
    );
    const { code, printed } = await script.ended;
    expect([code, printed]).toEqual([0, expect.stringMatching(/^hello \/\nTimeoutError: .*\n/)]);
  });

  test("with a user's dial that goes on without its aborted request", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(
      peer.url(),
      `
      const controller = new AbortController();
      const dial = () => {
        setImmediate(() => controller.abort(new Error("no longer wanted")));
        return new Promise(() => {});
      };
      const client = new Client({ transport: new Transport({ dial }) });
      await client.get(url, { signal: controller.signal }).catch(printFailure);
      `,
    );
    expect(await script.ended).toEqual({ code: 0, printed: `Error: no longer wanted\n${FREE}` });
  });

  test("after requests that failed: no connection, a connection lost, a time limit", async () => {
    await using peer = await scriptedPeer();
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const address = closed.address();
    if (address === null || typeof address === "string") throw new Error("The server has no port");
    await new Promise((resolve) => closed.close(resolve));
    const script = new Script(
      peer.url(),
      `
      const client = new Client();
      const printName = (error) => print(error.name);
      await client.get("http://127.0.0.1:${address.port}/").catch(printName);
      await client.get(url).catch(printName);
      await client.get(url, { timeout: 20 }).catch(printName);
      `,
    );
    const conn = await peer.accept();
    await conn.readHead();
    conn.reset();
    await (await peer.accept()).readHead();
    const printed = `DialError\nConnectionClosedError\nTimeoutError\n${FREE}`;
    expect(await script.ended).toEqual({ code: 0, printed });
  });
});

describe("a process does not end", () => {
  test("while a request waits for its answer, or a reader for its body", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(
      peer.url(),
      `new Client().get(url).then(async (response) => {
        print("head");
        print(await response.text());
      });`,
    );
    const conn = await peer.accept();
    await conn.readHead();
    await script.says("over"); // its own part is over, and a whole request later it is still there
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    await script.says("head");
    expect(script.running).toBe(true);
    conn.reply("data");
    expect(await script.ended).toMatchObject({ code: 0, printed: expect.stringMatching(/\nhead\ndata\n$/) });
  });

  test("while a request waits for a connection on which a closed body is read to its end", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(
      peer.url(),
      `
      const client = new Client({ transport: new Transport({ maxConnsPerHost: 1, poolTimeout: 0 }) });
      await (await client.get(url)).close();
      client.get(url).then((response) => response.text()).then(print);
      `,
    );
    const first = await peer.accept();
    await first.readHead();
    first.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ndata"); // the rest never comes
    await answering(peer, OK);
    expect(await script.ended).toMatchObject({ code: 0, printed: expect.stringMatching(/\ndata\n$/) });
  });

  test("while a redirect waits for the connection that brought it", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(peer.url(), `new Client().get(url).then((response) => response.text()).then(print);`);
    const first = await peer.accept();
    await first.readHead();
    first.reply("HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 10\r\n\r\ndata"); // the rest never comes
    await answering(peer, OK);
    expect(await script.ended).toMatchObject({ code: 0, printed: expect.stringMatching(/\ndata\n$/) });
  });

  test("while a request counts on a dial that an aborted one has left", async () => {
    await using peer = await scriptedPeer();
    const script = new Script(
      peer.url(),
      `
      import { connect } from "node:net";
      const controller = new AbortController();
      let connected = 0;
      const dial = ({ host, port }) => new Promise((resolve) => {
        setImmediate(() => controller.abort());
        setTimeout(() => resolve(connect(port, host)), 200).unref();
        connected++;
      });
      const client = new Client({ transport: new Transport({ maxConnsPerHost: 1, dial }) });
      await client.get(url, { signal: controller.signal }).catch(() => print("aborted"));
      client.get(url).then((response) => response.text()).then((text) => print(text + " by dial " + connected));
      `,
    );
    await answering(peer, OK);
    expect(await script.ended).toMatchObject({
      code: 0,
      printed: expect.stringMatching(/^aborted\n.*\ndata by dial 1\n$/),
    });
  });
});
