/**
 * When a request is sent again: if no byte of it was handed to the kernel and its body can be made anew, over a
 * connection that was not dialed for it; at most once for each connection that was idle when the first attempt failed, and
 * once more over a fresh one. Anything else fails, and the error says what was written and whether it is safe.
 *
 * A connection is dead before the first byte when its reset comes behind the last poll before the write: then the kernel
 * refuses the write whole. `SteeredClock.beforeTurn` is that moment.
 */

import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { type CallInit, HttpError, Request, unixDialer } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { answer, OK, warm } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { type PeerConn, type PeerOptions, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

const dir = tempFolder("retry");
const authority = new CertificateAuthority();
const leaf = authority.issue({ names: ["IP:127.0.0.1"] });

interface Steered {
  readonly peer: ScriptedPeer;
  readonly clock: SteeredClock;
  [Symbol.asyncDispose](): Promise<void>;
}

async function steered(options: PeerOptions = {}): Promise<Steered> {
  const clock = new SteeredClock();
  const peer = await scriptedPeer({ clock, ...options });
  return { peer, clock, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

/** Each of these connections is reset when a request is about to be written to it, the last one first. */
function dieBeforeWrite(clock: SteeredClock, conns: readonly PeerConn[]): void {
  const left = [...conns];
  clock.beforeTurn = () => {
    left.pop()?.reset();
    if (left.length === 0) clock.beforeTurn = null;
  };
}

/** The facts of an error, as a caller reads them. */
async function factsOf(call: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof HttpError)) throw new Error("It did not fail with an error of ours", { cause: error });
  const { code, phase, attempt, reused, bytesSubmitted, bytesAccepted, bytesRead, safeToRetry, origin } = error;
  return { code, phase, attempt, reused, bytesSubmitted, bytesAccepted, bytesRead, safeToRetry, origin };
}

const bodies: Record<string, () => { init: CallInit; wire: string }> = {
  "no body": () => ({ init: {}, wire: "" }),
  "a text": () => ({ init: { body: "hello" }, wire: "hello" }),
  bytes: () => ({ init: { body: Buffer.from("hello") }, wire: "hello" }),
  "a Blob": () => ({ init: { body: new Blob(["hel", "lo"]) }, wire: "hello" }),
  "a list of parts": () => ({ init: { body: ["hel", "lo"] }, wire: "hello" }),
  JSON: () => ({ init: { json: { a: 1 } }, wire: '{"a":1}' }),
  "a factory of a stream": () => ({
    init: { body: () => Readable.from([Buffer.from("hel"), Buffer.from("lo")]) },
    wire: "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
  }),
  "a factory of text": () => ({ init: { body: async () => "hello" }, wire: "5\r\nhello\r\n0\r\n\r\n" }),
};

describe.each(["TCP", "a unix socket"])("over %s, a connection found dead before the first byte", (network) => {
  let sockets = 0;
  const options = (): PeerOptions => {
    if (network === "TCP") return {};
    const unixPath = join(dir, `${++sockets}.sock`);
    return { unixPath, dial: unixDialer(unixPath) };
  };
  const url = (peer: ScriptedPeer, path: string) => (network === "TCP" ? peer.url(path) : `http://over.unix${path}`);
  const die = (clock: SteeredClock, conn: PeerConn) => {
    if (network === "TCP") return dieBeforeWrite(clock, [conn]);
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      conn.socket.destroy(); // a unix socket that is closed refuses at once
    };
  };
  const ready = async (peer: ScriptedPeer) => {
    const call = peer.client.get(url(peer, "/warm"));
    const conn = await peer.accept();
    await answer(conn);
    await (await call).bytes();
    return conn;
  };

  test.each(Object.entries(bodies))("a POST with %s is sent again, whole and once", async (_, body) => {
    await using run = await steered(options());
    const { peer, clock } = run;
    const stale = await ready(peer);
    die(clock, stale);
    const { init, wire } = body();
    const call = peer.client.post(url(peer, "/up"), init);
    const conn = await peer.accept();
    expect(await conn.readHead()).toMatch(/^POST \/up HTTP\/1\.1\r\n/);
    await conn.expect(wire);
    conn.reply(OK);
    const res = await call;
    expect(await res.text()).toBe("ok");
    expect(res.connection).toMatchObject({ reused: false, served: 0 });
    expect(stale.pending).toBe("");
    expect(conn.pending).toBe("");
    expect(peer.accepted).toHaveLength(2);
    expect(peer.transport.stats()).toMatchObject({ retries: 1, dialed: 2, closed: { "socket-error": 1 } });
  });

  test("a factory is asked for the body once: nothing of it was wanted before", async () => {
    await using run = await steered(options());
    const { peer, clock } = run;
    die(clock, await ready(peer));
    let made = 0;
    const call = peer.client.post(url(peer, "/up"), {
      body: () => {
        made++;
        return "x";
      },
    });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.expect("1\r\nx\r\n0\r\n\r\n");
    conn.reply(OK);
    await (await call).bytes();
    expect(made).toBe(1);
  });

  test("a POST with a body that can be read once is not: the error says that nothing was written", async () => {
    await using run = await steered(options());
    const { peer, clock } = run;
    die(clock, await ready(peer));
    const upload = new Upload();
    const facts = await factsOf(peer.client.post(url(peer, "/up"), { body: upload }));
    expect(facts).toEqual({
      code: "ERR_HTTP_CONNECTION_CLOSED",
      phase: "write",
      attempt: 1,
      reused: true,
      bytesSubmitted: 0,
      bytesAccepted: 0,
      bytesRead: 0,
      safeToRetry: true,
      origin: new URL(url(peer, "/")).origin,
    });
    expect(upload).toMatchObject({ pulls: 0, returned: 1 });
    expect(peer.transport.stats()).toMatchObject({ retries: 0, dialed: 1, idle: 0, busy: 0 });
  });
});

describe("a connection that dies when a byte was written", () => {
  test("costs a POST, and the error says all there is to know", async () => {
    await using run = await steered();
    const { peer } = run;
    const [conn] = await warm(peer);
    let made = 0;
    const call = peer.client.post(peer.url("/up"), {
      body: () => {
        made++;
        return "hello";
      },
    });
    const facts = factsOf(call);
    const head = await conn!.readHead();
    await conn!.expect("5\r\nhello\r\n0\r\n\r\n");
    conn!.reset();
    const bytes = head.length + "5\r\nhello\r\n0\r\n\r\n".length;
    expect(await facts).toEqual({
      code: "ERR_HTTP_CONNECTION_CLOSED",
      phase: "headers",
      attempt: 1,
      reused: true,
      bytesSubmitted: bytes,
      bytesAccepted: bytes,
      bytesRead: 0,
      safeToRetry: false,
      origin: new URL(peer.url()).origin,
    });
    expect(made).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ retries: 0, dialed: 1 });
  });

  test("in the middle of the upload: the body that was half sent is not sent again", async () => {
    await using run = await steered();
    const { peer } = run;
    const [conn] = await warm(peer);
    const uploads: Upload[] = [];
    const call = peer.client.put(peer.url("/up"), {
      body: () => {
        uploads.push(new Upload());
        return uploads.at(-1)!;
      },
    });
    const facts = factsOf(call);
    await conn!.readHead();
    await until(() => uploads.length === 1, "the body is asked for");
    uploads[0]!.give(5);
    await conn!.expect("5\r\nUUUUU\r\n");
    conn!.reset();
    expect(await facts).toMatchObject({ attempt: 1, reused: true, bytesRead: 0, safeToRetry: true }); // PUT is idempotent
    expect(uploads).toHaveLength(1);
    expect(uploads[0]).toMatchObject({ returned: 1 });
    expect(peer.transport.stats().retries).toBe(0);
  });

  test("by FIN before the response: as by a reset", async () => {
    await using run = await steered();
    const { peer } = run;
    const [conn] = await warm(peer);
    const facts = factsOf(peer.client.get(peer.url()));
    await conn!.readHead();
    conn!.end();
    expect(await facts).toMatchObject({ phase: "headers", reused: true, bytesRead: 0, safeToRetry: true });
    expect(peer.transport.stats()).toMatchObject({ retries: 0, closed: { "server-closed": 1 } });
  });

  test("within the response: its bytes are counted", async () => {
    await using run = await steered();
    const { peer } = run;
    const [conn] = await warm(peer);
    const facts = factsOf(peer.client.get(peer.url()));
    await conn!.readHead();
    conn!.reply("HTTP/1.1 200");
    await turns(5);
    conn!.end();
    expect(await facts).toMatchObject({ phase: "headers", reused: true, bytesRead: 12, safeToRetry: false });
  });

  test("over TLS a first write that fails proves nothing, so a POST is not sent again", async () => {
    await using run = await steered({ serverTls: leaf, tls: { ca: authority.cert } });
    const { peer, clock } = run;
    const [conn] = await warm(peer);
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      rawSocketOf(conn!).resetAndDestroy();
    };
    const facts = await factsOf(peer.client.post(peer.url("/up"), { body: "hello" }));
    expect(facts).toMatchObject({ reused: true, attempt: 1, bytesRead: 0, bytesAccepted: 0, safeToRetry: false });
    expect(facts["bytesSubmitted"]).toBeGreaterThan(5);
    expect(peer.transport.stats().retries).toBe(0);
  });
});

describe('replay: "replayable" (Go isReplayable)', () => {
  const cases: readonly (readonly [string, string, CallInit, number])[] = [
    ["GET", "GET", {}, 1],
    ["HEAD", "HEAD", {}, 1],
    ["OPTIONS", "OPTIONS", {}, 1],
    ["TRACE", "TRACE", {}, 1],
    ["GET with a body in memory", "GET", { body: "x" }, 1],
    ["POST", "POST", { body: "x" }, 0],
    ["PUT, which is idempotent but not replayable", "PUT", { body: "x" }, 0],
    ["DELETE, likewise", "DELETE", {}, 0],
    ["POST with an Idempotency-Key", "POST", { body: "x", headers: { "Idempotency-Key": "k" } }, 1],
    ["POST with an X-Idempotency-Key", "POST", { body: "x", headers: { "x-idempotency-key": "k" } }, 1],
  ];
  test.each(cases)("%s whose connection ends before a response byte", async (_, method, init, retries) => {
    await using run = await steered({ replay: "replayable" });
    const { peer } = run;
    const [conn] = await warm(peer);
    const call = peer.client.request(method, peer.url("/again"), init);
    call.catch(() => {});
    const first = await conn!.readHead();
    conn!.reset();
    if (retries === 0) {
      await expect(call).rejects.toMatchObject({ attempt: 1 });
    } else {
      const other = await peer.accept();
      expect(await other.readHead()).toBe(first);
      other.reply(OK);
      await (await call).bytes();
    }
    expect(peer.transport.stats().retries).toBe(retries);
  });

  test("not where the body can be read once", async () => {
    await using run = await steered({ replay: "replayable" });
    const { peer } = run;
    const [conn] = await warm(peer);
    const upload = new Upload();
    const call = peer.client.request("GET", peer.url(), { body: upload });
    const failed = expect(call).rejects.toMatchObject({ attempt: 1 });
    upload.give(1); // it is looked at first
    await conn!.readHead();
    conn!.reset();
    await failed;
    expect(upload.returned).toBe(1);
  });

  test("not where a byte of a response came", async () => {
    await using run = await steered({ replay: "replayable" });
    const { peer } = run;
    const [conn] = await warm(peer);
    const call = peer.client.get(peer.url());
    const failed = expect(call).rejects.toMatchObject({ attempt: 1, bytesRead: 1 });
    await conn!.readHead();
    conn!.reply("H");
    await turns(5);
    conn!.reset();
    await failed;
  });

  test("not over a connection dialed for this request", async () => {
    await using run = await steered({ replay: "replayable" });
    const { peer } = run;
    const call = peer.client.get(peer.url());
    const failed = expect(call).rejects.toMatchObject({ attempt: 1, reused: false, safeToRetry: true });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reset();
    await failed;
    expect(peer.transport.stats()).toMatchObject({ retries: 0, dialed: 1 });
  });

  test("also over TLS, where the first write failed", async () => {
    await using run = await steered({ replay: "replayable", serverTls: leaf, tls: { ca: authority.cert } });
    const { peer, clock } = run;
    const [conn] = await warm(peer);
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      rawSocketOf(conn!).resetAndDestroy();
    };
    const call = peer.client.get(peer.url());
    await answer(await peer.accept());
    expect(await (await call).text()).toBe("ok");
    expect(peer.transport.stats().retries).toBe(1);
  });
});

describe("a connection dialed for this very request", () => {
  test("that is dead before the first byte is no reason to try again", async () => {
    await using run = await steered({
      dial: async ({ host, port, onread }) => {
        const socket = connect({ host, port, onread, allowHalfOpen: true });
        const [conn] = await Promise.all([run.peer.accept(), once(socket, "connect")]);
        run.clock.beforeTurn = () => {
          run.clock.beforeTurn = null;
          conn.reset(); // from here to the write there is no poll
        };
        return socket;
      },
    });
    const { peer } = run;
    expect(await factsOf(peer.client.post(peer.url(), { body: "x" }))).toMatchObject({
      attempt: 1,
      reused: false,
      bytesSubmitted: 0,
      safeToRetry: true,
    });
    expect(peer.transport.stats()).toMatchObject({ retries: 0, dialed: 1 });
  });

  test("but one that was dialed for another request is (Go issue 70515) [TestTransportIdleConnRacesRequest]", async () => {
    const clock = new SteeredClock();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let dials = 0;
    await using peer = await scriptedPeer({
      clock,
      dial: async ({ host, port, onread }) => {
        if (++dials === 2) await held;
        return connect({ host, port, onread, allowHalfOpen: true });
      },
    });
    const first = peer.client.get(peer.url("/1"));
    const a = await peer.accept();
    await a.readHead();
    const second = peer.client.get(peer.url("/2")); // dials, and then gets the first one's connection
    await until(() => dials === 2, "the second dials");
    a.reply(OK);
    await (await first).bytes();
    await answer(a);
    await (await second).bytes();
    release();
    const b = await peer.accept(); // goes into the pool, unused and on top
    await until(() => peer.transport.stats().idle === 2, "both are idle");

    dieBeforeWrite(clock, [b]);
    const served: number[] = [];
    const third = peer.client.post(peer.url("/3"), {
      body: "x",
      trace: (event) => {
        if (event.type === "pool-assigned") served.push(event.served);
      },
    });
    await a.readHead();
    await a.expect("x");
    a.reply(OK);
    expect(await (await third).text()).toBe("ok");
    expect(served).toEqual([0, 2]);
    expect(peer.transport.stats()).toMatchObject({ retries: 1, dialed: 2 });
  });
});

describe("the number of attempts", () => {
  test("is the number of connections that were idle at the first failure, and one fresh dial", async () => {
    await using run = await steered();
    const { peer, clock } = run;
    const stale = await warm(peer, 3);
    dieBeforeWrite(clock, stale);
    const call = peer.client.post(peer.url("/up"), { body: "hello" });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.expect("hello");
    conn.reply(OK);
    expect(await (await call).text()).toBe("ok");
    expect(stale.map(({ pending }) => pending)).toEqual(["", "", ""]);
    expect(peer.transport.stats()).toMatchObject({ retries: 3, dialed: 4, closed: { "socket-error": 3 } });
  });

  test("ends with the fresh dial, whatever becomes idle meanwhile", async () => {
    const clock = new SteeredClock();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let dials = 0;
    await using peer = await scriptedPeer({
      clock,
      dial: async ({ host, port, onread }) => {
        if (++dials === 3) await held;
        return connect({ host, port, onread, allowHalfOpen: true });
      },
    });
    const [a, b] = await warm(peer, 2);
    const other = peer.client.get(peer.url("/other")); // takes b, which was used last
    await b!.readHead();
    dieBeforeWrite(clock, [a!]);
    const call = peer.client.post(peer.url("/up"), { body: "hello" });
    await until(() => dials === 3, "it dials");
    b!.reply(OK);
    await (await other).bytes();
    await until(() => peer.transport.stats().idle === 1, "the other connection is idle");
    await turns(10);
    expect(b!.pending).toBe("");
    release();
    const c = await peer.accept();
    await c.readHead();
    c.reset();
    await expect(call).rejects.toMatchObject({ attempt: 2, reused: false });
    expect(peer.transport.stats()).toMatchObject({ retries: 1, dialed: 3, idle: 1 });
  });

  test("ends with the failure of that dial", async () => {
    let dials = 0;
    await using run = await steered({
      dial: ({ host, port, onread }) => {
        if (++dials === 2) throw new Error("no way");
        return connect({ host, port, onread, allowHalfOpen: true });
      },
    });
    const { peer, clock } = run;
    dieBeforeWrite(clock, await warm(peer, 1));
    const facts = await factsOf(peer.client.post(peer.url("/up"), { body: "hello" }));
    expect(facts).toMatchObject({ code: "ERR_HTTP_DIAL", safeToRetry: true, attempt: 2 });
    expect(peer.transport.stats()).toMatchObject({ retries: 1, dialed: 1, dialsFailed: 1, busy: 0, waiting: 0 });
  });
});

test("a dial that fails belongs to the attempt that it was made for: the first is 1", async () => {
  await using peer = await scriptedPeer({ dial: () => Promise.reject(new Error("no way")) });
  expect(await factsOf(peer.client.get(peer.url()))).toMatchObject({ code: "ERR_HTTP_DIAL", attempt: 1 });
});

describe("a connection that dies in the liveness turn", () => {
  const deaths: Record<string, (conn: PeerConn) => void> = {
    "by a reset": (conn) => conn.reset(),
    "by FIN": (conn) => conn.end(),
    "by a byte that nobody asked for": (conn) => conn.reply("x"),
    "by a whole answer that nobody asked for": (conn) => conn.reply(OK),
    "by a 408 (Go issue 32310)": (conn) => conn.reply("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"),
  };
  test.each(Object.entries(deaths))(
    "%s was never assigned: no attempt, no retry, whatever the body",
    async (_, die) => {
      await using run = await steered();
      const { peer, clock } = run;
      const [stale] = await warm(peer);
      clock.onTurnAsked = () => {
        clock.onTurnAsked = null;
        die(stale!);
      };
      const upload = new Upload();
      const call = peer.client.post(peer.url("/up"), { body: upload });
      const conn = await peer.accept();
      await conn.readHead();
      upload.give(2);
      upload.end();
      await conn.expect("2\r\nUU\r\n0\r\n\r\n");
      conn.reply(OK);
      const res = await call;
      expect(await res.text()).toBe("ok");
      expect(stale!.pending).toBe("");
      expect(upload.returned).toBe(0);
      expect(peer.transport.stats()).toMatchObject({ retries: 0, dialed: 2 });
    },
  );
});

describe("a request that goes again", () => {
  test("keeps its place under maxConnsPerHost: the slot of its dead connection is its own", async () => {
    await using run = await steered({ maxConnsPerHost: 1 });
    const { peer, clock } = run;
    const stale = await warm(peer);
    dieBeforeWrite(clock, stale);
    const first = peer.client.post(peer.url("/first"), { body: "x" });
    const second = peer.client.get(peer.url("/second"));
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain("POST /first");
    await conn.expect("x");
    conn.reply(OK);
    await (await first).bytes();
    expect(await answer(conn)).toContain("GET /second");
    await (await second).bytes();
    expect(peer.accepted).toHaveLength(2);
  });

  test("is answered with the caller's own request", async () => {
    await using run = await steered();
    const { peer, clock } = run;
    dieBeforeWrite(clock, await warm(peer));
    const request = new Request(peer.url(), { method: "POST", body: "x" });
    const call = peer.client.do(request);
    await answer(await peer.accept());
    const res = await call;
    expect(res.request).toBe(request);
    await res.bytes();
  });

  test("when many do at once, each is sent exactly once", async () => {
    await using run = await steered();
    const { peer, clock } = run;
    const stale = await warm(peer, 5);
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      for (const conn of stale) conn.reset();
    };
    const calls = Array.from({ length: 5 }, (_, n) => peer.client.post(peer.url(`/${n}`), { body: "x" }));
    const seen: string[] = [];
    for (const _ of calls) {
      const conn = await peer.accept();
      seen.push(/^POST (\S+)/.exec(await conn.readHead())?.[1] ?? "");
      conn.reply(OK);
    }
    for (const call of calls) await (await call).bytes();
    expect(seen.sort()).toEqual(["/0", "/1", "/2", "/3", "/4"]);
    expect(peer.accepted).toHaveLength(10);
  });
});

/** The TCP socket below a TLS server's: only that can be reset. */
function rawSocketOf(conn: PeerConn): { resetAndDestroy(): void } {
  const { _parent: parent } = conn.socket as unknown as { _parent: { resetAndDestroy(): void } }; // Node's own name
  return parent;
}
