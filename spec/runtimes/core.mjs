/**
 * The named core, for runtimes that cannot run the specs: each line a thing that users rely on, checked against servers
 * of raw bytes in the same process. Runs the built package: `node spec/runtimes/core.mjs`, likewise with bun and deno.
 * Prints a line for each and the sum as JSON; exits with 1 where one failed.
 */

import { once } from "node:events";
import net from "node:net";
import { Readable } from "node:stream";
import tls from "node:tls";
import zlib from "node:zlib";

// By a computed name: what is built is not there when the sources are checked.
const { Client, fetch, TimeoutError, Transport } = await import(new URL("../../dist/index.js", import.meta.url).href);

const { CERT = "", KEY = "", CA = "" } = process.env;
const outcomes = {};

/** What ends with the check: not all runtimes have `await using`. */
let endings = [];

/** Serves connections with `script`, an async function of the connection; gone at the end of the check. */
async function peer(script, secure = false) {
  const sockets = new Set();
  const serve = (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    script(new Conn(socket)).catch(() => {}); // the client's side is what is checked
  };
  const server = secure ? tls.createServer({ cert: CERT, key: KEY }, serve) : net.createServer(serve);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  endings.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: (path = "/") => `${secure ? "https" : "http"}://localhost:${port}${path}`,
    port,
    get connections() {
      return sockets.size;
    },
  };
}

class Conn {
  constructor(socket) {
    this.socket = socket;
    this.text = "";
    this.wake = () => {};
    this.closed = false;
    socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
      this.wake();
    });
    socket.on("close", () => {
      this.closed = true;
      this.wake();
    });
  }

  async through(mark) {
    while (!this.text.includes(mark)) {
      if (this.closed) throw new Error("the client closed");
      await new Promise((resolve) => {
        this.wake = resolve;
      });
    }
    const end = this.text.indexOf(mark) + mark.length;
    const taken = this.text.slice(0, end);
    this.text = this.text.slice(end);
    return taken;
  }

  head() {
    return this.through("\r\n\r\n");
  }

  say(data) {
    this.socket.write(data, "latin1");
  }
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async function forEver(conn) {
  for (;;) {
    await conn.head();
    conn.say(OK);
  }
}

function equal(got, wanted) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a}, where ${b} is due`);
}

async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

async function check(name, run, options = {}) {
  const transport = new Transport(options);
  const client = new Client({ transport });
  let guard;
  try {
    const late = new Promise((_, reject) => {
      guard = setTimeout(() => reject(new Error("it hangs")), 20_000);
    });
    await Promise.race([run(client, transport), late]);
    outcomes[name] = "ok";
  } catch (error) {
    outcomes[name] = `${error?.name}: ${error?.message}`;
  }
  clearTimeout(guard);
  await transport.destroy();
  for (const end of endings) end();
  endings = [];
  console.log(
    `${outcomes[name] === "ok" ? "ok     " : "FAILED "} ${name}${outcomes[name] === "ok" ? "" : `: ${outcomes[name]}`}`,
  );
}

await check("GET, and a connection that is used again", async (client, transport) => {
  const site = await peer(forEver);
  for (let i = 0; i < 5; i++) equal(await (await client.get(site.url())).text(), "ok");
  equal([site.connections, transport.stats().dialed], [1, 1]);
});

await check("64 at once", async (client) => {
  const site = await peer(forEver);
  const all = Array.from({ length: 64 }, async () => (await client.get(site.url())).text());
  equal(new Set(await Promise.all(all)).size, 1);
});

await check("a chunked answer with trailers", async (client) => {
  const site = await peer(async (conn) => {
    await conn.head();
    conn.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n");
  });
  const res = await client.get(site.url());
  equal(await res.text(), "abcde");
  equal((await res.trailers).get("x-sum"), "5");
});

await check("a streamed request body", async (client) => {
  const site = await peer(async (conn) => {
    await conn.head();
    const body = await conn.through("0\r\n\r\n");
    conn.say(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const res = await client.post(site.url(), { body: Readable.from(["one", "two"]) });
  equal(await res.text(), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
});

await check("a megabyte down, with backpressure", async (client) => {
  const site = await peer(async (conn) => {
    await conn.head();
    conn.say(`HTTP/1.1 200 OK\r\nContent-Length: ${2 ** 20}\r\n\r\n`);
    for (let i = 0; i < 16; i++) conn.say("x".repeat(2 ** 16));
  });
  let bytes = 0;
  for await (const chunk of await client.get(site.url())) {
    bytes += chunk.length;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  equal(bytes, 2 ** 20);
});

await check("a redirect", async (client) => {
  const site = await peer(async (conn) => {
    await conn.head();
    conn.say("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    await forEver(conn);
  });
  const res = await client.get(site.url());
  equal([res.redirected, new URL(res.url).pathname, await res.text()], [true, "/there", "ok"]);
});

await check("gzip and br", async (client) => {
  const packed = { gzip: zlib.gzipSync("hello"), br: zlib.brotliCompressSync("hello") };
  const site = await peer(async (conn) => {
    for (;;) {
      const coding = (await conn.head()).includes("/br ") ? "br" : "gzip";
      conn.say(`HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${packed[coding].length}\r\n\r\n`);
      conn.socket.write(packed[coding]);
    }
  });
  for (const coding of ["gzip", "br"]) equal(await (await client.get(site.url(`/${coding}`))).text(), "hello");
});

await check("an abort, with its reason, which closes the connection", async (client) => {
  let gone;
  const closed = new Promise((resolve) => {
    gone = resolve;
  });
  const reason = new Error("mine");
  const controller = new AbortController();
  const site = await peer(async (conn) => {
    conn.socket.on("close", gone);
    await conn.head();
    controller.abort(reason);
  });
  equal((await rejection(client.get(site.url(), { signal: controller.signal }))) === reason, true);
  await closed;
});

await check(
  "a time limit",
  async (client) => {
    const site = await peer((conn) => conn.head());
    const error = await rejection(client.get(site.url()));
    equal([error instanceof TimeoutError, error.option], [true, "responseHeaderTimeout"]);
  },
  { responseHeaderTimeout: 50 },
);

await check("a stale connection that is avoided", async (client, transport) => {
  const site = await peer(async (conn) => {
    await conn.head();
    conn.say(OK);
    conn.socket.end();
    await forEver(conn);
  });
  await (await client.get(site.url())).text();
  while (transport.stats().idle > 0) await new Promise((resolve) => setImmediate(resolve));
  equal(await (await client.get(site.url())).text(), "ok");
  equal([transport.stats().dialed, transport.stats().retries], [2, 0]);
});

await check("Expect: 100-continue", async (client) => {
  const site = await peer(async (conn) => {
    await conn.head();
    conn.say("HTTP/1.1 100 Continue\r\n\r\n");
    await conn.through("body");
    conn.say(OK);
  });
  equal(await (await client.put(site.url(), { body: "body", expectContinue: true })).text(), "ok");
});

await check("a cut body is an error", async (client) => {
  const site = await peer(async (conn) => {
    await conn.head();
    conn.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    conn.socket.end();
  });
  equal((await rejection((await client.get(site.url())).text())).code, "ERR_HTTP_INCOMPLETE_BODY");
});

await check("an upgrade", async (client) => {
  const site = await peer(async (conn) => {
    await conn.head();
    conn.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhi");
  });
  const res = await client.get(site.url(), { headers: { Upgrade: "chat" } });
  const duplex = res.duplex();
  const [first] = await once(duplex, "data");
  equal(String(first), "hi");
  duplex.destroy();
});

await check("a proxy, by CONNECT", async () => {
  const site = await peer(forEver);
  const proxy = await peer(async (conn) => {
    await conn.head();
    const far = net.connect(site.port, "127.0.0.1");
    far.on("error", () => {});
    conn.say("HTTP/1.1 200 Connected\r\n\r\n");
    conn.socket.removeAllListeners("data");
    conn.socket.pipe(far).pipe(conn.socket);
  });
  const transport = new Transport({ proxy: proxy.url(), proxyTunnel: true });
  equal(await (await new Client({ transport }).get(site.url())).text(), "ok");
  await transport.close();
});

await check(
  "TLS, with an authority of one's own, and a connection that is used again",
  async (client, transport) => {
    const site = await peer(forEver, true);
    for (let i = 0; i < 3; i++) equal(await (await client.get(site.url())).text(), "ok");
    equal(transport.stats().dialed, 1);
  },
  { tls: { ca: CA } },
);

await check("TLS that is not trusted is refused", async (client) => {
  const site = await peer(forEver, true);
  equal((await rejection(client.get(site.url()))).code, "ERR_HTTP_TLS");
});

await check("fetch", async () => {
  const site = await peer(forEver);
  const res = await fetch(site.url(), { headers: { a: "b" } });
  equal([res.ok, await res.text()], [true, "ok"]);
});

const failed = Object.values(outcomes).filter((outcome) => outcome !== "ok").length;
console.log(JSON.stringify(outcomes));
process.exit(failed === 0 ? 0 : 1); // what a failed check has left would hold the process
