/**
 * What travels beside head and body: 1xx responses (RFC 9110 §15.2), Expect: 100-continue (§10.1.1), trailers (§6.5); and
 * the async context in which a caller's own code runs, wherever the library calls it from.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { connect } from "node:net";
import { Duplex, Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { describe, expect, test } from "vitest";
import { Client, type Information, Request, Transport, type UserDial } from "../../lib/index.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { still, turns, until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/** Makes one exchange, so that the next finds a connection in the pool. */
async function warm(peer: ScriptedPeer): Promise<PeerConn> {
  const call = peer.client.get(peer.url("/warm"));
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply(OK);
  await (await call).bytes();
  return conn;
}

/** The next request of this connection is whole and its own, and is answered. */
async function expectReuse(peer: ScriptedPeer, conn: PeerConn): Promise<void> {
  const next = peer.client.get(peer.url("/next"));
  await conn.expect(peer.head("GET /next"));
  conn.reply(OK);
  expect(await (await next).text()).toBe("ok");
}

describe("onInformation", () => {
  test("hears each 1xx in order, before the final answer; without it they pass unheard [TestTransportIgnore1xxResponses]", async () => {
    await using peer = await scriptedPeer();
    const heard: Information[] = [];
    const call = peer.client.get(peer.url(), { onInformation: (information) => heard.push(information) });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.css>\r\n\r\n");
    await until(() => heard.length === 1, "the first is heard");
    conn.reply(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Odd\r\n\r\n${OK}`);
    expect((await call).status).toBe(200);
    expect(heard.map(({ status, statusText }) => [status, statusText])).toEqual([
      [103, "Early Hints"],
      [102, "Processing"],
      [199, "Odd"],
    ]);
    expect(heard[0]?.headers.raw).toEqual([
      ["Link", "</a.css>"],
      ["Link", "</b.css>"],
    ]);
    await (await call).bytes();

    const second = peer.client.get(peer.url());
    await conn.readHead();
    conn.reply(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`);
    expect(await (await second).text()).toBe("ok");
  });

  test("keeps what it was given when the connection serves others", async () => {
    await using peer = await scriptedPeer();
    let kept: Information | null = null;
    const call = peer.client.get(peer.url(), {
      onInformation: (information) => {
        kept = information;
      },
    });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n${OK}`);
    await (await call).bytes();
    await expectReuse(peer, conn);
    expect((kept as Information | null)?.headers.get("x-a")).toBe("1");
  });

  test("fails the call with what it throws, and gives the upload up", async () => {
    await using peer = await scriptedPeer();
    const mine = new Error("of the hook");
    const upload = new Upload();
    const call = peer.client.post(peer.url(), {
      body: upload,
      onInformation: () => {
        throw mine;
      },
    });
    const failed = expect(call).rejects.toBe(mine);
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`);
    await failed;
    expect(upload.returned).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 0, closed: { aborted: 1 } });
  });

  test("may end its own call, or the transport", async () => {
    await using peer = await scriptedPeer();
    const controller = new AbortController();
    const reason = new Error("enough");
    const aborted = peer.client.get(peer.url(), {
      signal: controller.signal,
      onInformation: () => controller.abort(reason),
    });
    const abortion = expect(aborted).rejects.toBe(reason);
    const first = await peer.accept();
    await first.readHead();
    first.reply(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`);
    await abortion;

    const destroyed = peer.client.get(peer.url(), { onInformation: () => void peer.transport.destroy() });
    const destruction = expect(destroyed).rejects.toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
    const second = await peer.accept();
    await second.readHead();
    second.reply(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`);
    await destruction;
  });

  test("hears no more than max1xxResponses, and the exchange ends there", async () => {
    await using peer = await scriptedPeer({ max1xxResponses: 3 });
    let heard = 0;
    const call = peer.client.get(peer.url(), { onInformation: () => heard++ });
    const failed = expect(call).rejects.toMatchObject({ code: "ERR_HTTP_HEADER_LIMIT", option: "max1xxResponses" });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(4) + OK);
    await failed;
    expect(heard).toBe(3);
  });

  test("a 101 that nobody asked for is refused (RFC 9110 §15.2.2)", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const failed = expect(call).rejects.toMatchObject({ code: "ERR_HTTP_REMOTE_PROTOCOL" });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n${OK}`);
    await failed;
    expect(peer.transport.stats().closed).toEqual({ "protocol-error": 1 });
  });
});

describe("Expect: 100-continue (RFC 9110 §10.1.1)", () => {
  const bodies = {
    "a body in memory": () => "hello",
    "a stream": () => Readable.from([Buffer.from("hello")]),
  };

  describe.each(Object.entries(bodies))("with %s", (_, body) => {
    const chunked = _ === "a stream";
    const wire = chunked ? "5\r\nhello\r\n0\r\n\r\n" : "hello";
    const start = (peer: ScriptedPeer, init = {}) =>
      peer.client.post(peer.url("/up"), { body: body(), expectContinue: true, ...init });

    test("the body waits for the 100, and the connection lives on [TestTransportExpect100ContinueSent]", async () => {
      await using peer = await scriptedPeer({ clock: new SteeredClock() });
      const call = start(peer);
      const conn = await peer.accept();
      expect(await conn.readHead()).toContain("\r\nExpect: 100-continue\r\n");
      await turns(20);
      expect(conn.pending).toBe("");
      conn.reply(CONTINUE);
      await conn.expect(wire);
      conn.reply(OK);
      expect(await (await call).text()).toBe("ok");
      await expectReuse(peer, conn);
    });

    test("no 100 comes: the body goes out after expectContinueTimeout, 1 s unless set [TestTransportExpect100Continue/timeout]", async () => {
      for (const [options, call, ms] of [
        [{}, {}, 1_000],
        [{ expectContinueTimeout: 300 }, {}, 300],
        [{ expectContinueTimeout: 300 }, { expectContinueTimeout: 2_000 }, 2_000],
      ] as const) {
        const clock = new SteeredClock();
        await using peer = await scriptedPeer({ clock, ...options });
        const response = start(peer, call);
        const conn = await peer.accept();
        await conn.readHead();
        await still(() => clock.turns);
        await clock.advance(ms - 1);
        await turns(20);
        expect(conn.pending).toBe("");
        await clock.advance(1);
        await conn.expect(wire);
        conn.reply(CONTINUE + OK); // late, and of no consequence
        expect(await (await response).text()).toBe("ok");
        await expectReuse(peer, conn);
      }
    });

    test("expectContinueTimeout 0 waits for nothing", async () => {
      await using peer = await scriptedPeer({ expectContinueTimeout: 0, clock: new SteeredClock() });
      const call = start(peer);
      const conn = await peer.accept();
      await conn.readHead();
      await conn.expect(wire);
      conn.reply(OK);
      await (await call).bytes();
    });

    test("a final answer that keeps the connection gets the whole body, so that what follows is framed right (CVE-2024-24791) [TestTransportExpect100Continue200ResponseNoConnClose]", async () => {
      await using peer = await scriptedPeer({ clock: new SteeredClock() });
      const call = start(peer);
      const conn = await peer.accept();
      await conn.readHead();
      conn.reply(OK);
      const res = await call;
      await conn.expect(wire);
      expect(await res.text()).toBe("ok");
      await expectReuse(peer, conn);
    });

    test.each([
      ["says close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
      ["is HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
      ["is an error", "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno"],
      ["is a server's error", "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"],
    ])(
      "a final answer that %s gets none of it, and the connection serves no other (CVE-2024-24791)",
      async (__, answer) => {
        await using peer = await scriptedPeer({ clock: new SteeredClock() });
        const call = start(peer);
        const conn = await peer.accept();
        await conn.readHead();
        conn.reply(answer);
        await (await call).bytes();
        expect(await conn.readToEnd()).toBe("");
        expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0 });
      },
    );
  });

  test("the body is not asked for before the 100", async () => {
    await using peer = await scriptedPeer({ clock: new SteeredClock() });
    const upload = new Upload();
    let made = 0;
    const call = peer.client.post(peer.url(), {
      body: () => {
        made++;
        return upload;
      },
      expectContinue: true,
    });
    const conn = await peer.accept();
    await conn.readHead();
    await turns(20);
    expect([made, upload.pulls]).toEqual([0, 0]);
    conn.reply(CONTINUE);
    await until(() => upload.pulls === 1, "it is asked for");
    upload.give(1);
    upload.end();
    await conn.expect("1\r\nU\r\n0\r\n\r\n");
    conn.reply(OK);
    await (await call).bytes();
    expect(made).toBe(1);
  });

  test("a 103 is no 100", async () => {
    await using peer = await scriptedPeer({ clock: new SteeredClock() });
    const call = peer.client.post(peer.url(), { body: "hello", expectContinue: true });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 103 Early Hints\r\n\r\n");
    await turns(20);
    expect(conn.pending).toBe("");
    conn.reply(CONTINUE);
    await conn.expect("hello");
    conn.reply(OK);
    await (await call).bytes();
  });

  test("a request without content asks for nothing", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.post(peer.url(), { body: "", expectContinue: true });
    const conn = await peer.accept();
    expect(await conn.readHead()).not.toContain("Expect");
    conn.reply(OK);
    await (await call).bytes();
  });
});

describe("trailers (RFC 9110 §6.5)", () => {
  test("of a response: null until the last byte, then what came", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n");
    const res = await call;
    expect(res.trailers).toBe(null);
    conn.reply("0\r\nX-Sum: 5\r\nx-sum: 6\r\nX-Other: y\r\n\r\n");
    expect(await res.text()).toBe("ok");
    expect(res.trailers?.raw).toEqual([
      ["X-Sum", "5"],
      ["x-sum", "6"],
      ["X-Other", "y"],
    ]);
    expect(res.trailers?.get("x-sum")).toBe("5, 6");
    expect(res.headers.has("x-sum")).toBe(false);
    await expectReuse(peer, conn);
    expect(res.trailers?.get("x-other")).toBe("y");
  });

  test.each([
    ["chunks without any", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["a length", OK],
    ["no body", "HTTP/1.1 204 No\r\n\r\n"],
  ])("of a response with %s: none, but known to be none", async (_, answer) => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(answer);
    const res = await call;
    await res.bytes();
    expect(res.trailers?.raw).toEqual([]);
  });

  test("of a request: announced first, asked for after the last byte, anew for each sending [TestTrailersClientToServer]", async () => {
    await using peer = await scriptedPeer();
    let asked = 0;
    const upload = [new Upload(), new Upload()];
    let sending = 0;
    const request = new Request(peer.url(), {
      method: "POST",
      body: () => upload[sending++] as Upload,
      trailers: {
        names: ["X-Sum", "X-Count"],
        values: () => ({ "X-Sum": `sum-${++asked}`, "X-Count": `${upload[sending - 1]?.bytes}` }),
      },
    });
    let conn: PeerConn | null = null;
    for (const n of [0, 1]) {
      const call = peer.client.do(request);
      conn ??= await peer.accept();
      expect(await conn.readHead()).toContain("\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Count\r\n");
      upload[n]?.give(3);
      await conn.expect("3\r\nUUU\r\n");
      expect(asked).toBe(n);
      upload[n]?.end();
      await conn.expect(`0\r\nX-Sum: sum-${n + 1}\r\nX-Count: 3\r\n\r\n`);
      conn.reply(OK);
      await (await call).bytes();
    }
  });

  test("of a request: what their function throws fails the call", async () => {
    await using peer = await scriptedPeer();
    const mine = new Error("no digest");
    const call = peer.client.post(peer.url(), {
      body: "hello",
      trailers: {
        names: ["X-Sum"],
        values: () => {
          throw mine;
        },
      },
    });
    const failed = expect(call).rejects.toBe(mine);
    const conn = await peer.accept();
    await failed;
    expect(await conn.readToEnd()).not.toContain("\r\n0\r\n");
    expect(peer.transport.stats().closed).toEqual({ "body-error": 1 });
  });
});

describe("the caller's own code runs in the async context of its own call", () => {
  const store = new AsyncLocalStorage<string>();

  /** Every kind of code of the caller's; each writes down what it is and in which context it ran. */
  function hooks(log: Map<string, Set<string | undefined>>) {
    const note = (what: string) => {
      const seen = log.get(what) ?? new Set();
      seen.add(store.getStore());
      log.set(what, seen);
    };
    const chunks = ["a", "b"].map((text) => Buffer.from(text));
    const bodies = {
      "an iterator": () => {
        const left = [...chunks];
        return {
          async next() {
            note("next()");
            const value = left.shift();
            return value === undefined ? { done: true as const, value: undefined } : { done: false as const, value };
          },
          async return() {
            note("return()");
            return { done: true as const, value: undefined };
          },
          [Symbol.asyncIterator]() {
            return this;
          },
        };
      },
      "a generator": async function* () {
        for (const chunk of chunks) {
          note("generator");
          yield chunk;
        }
      },
      "a Node stream": () => {
        const left = [...chunks];
        return new Readable({
          read() {
            note("_read()");
            this.push(left.shift() ?? null);
          },
        });
      },
      "a web stream": () => {
        const left = [...chunks];
        return new ReadableStream(
          {
            pull(controller) {
              note("pull()");
              const chunk = left.shift();
              if (chunk === undefined) controller.close();
              else controller.enqueue(chunk);
            },
          },
          { highWaterMark: 0 },
        );
      },
    };
    return { note, bodies };
  }

  /** Answers each request on a connection, with a 103 in front and in two parts, so that nothing happens in one round. */
  async function serve(conn: PeerConn): Promise<void> {
    await conn.readHead();
    conn.reply("HTTP/1.1 103 Early Hints\r\n\r\n");
    await conn.expect("1\r\na\r\n1\r\nb\r\n0\r\nX-Sum: 2\r\n\r\n");
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    await turns(3);
    conn.reply("k");
  }

  const scenarios = ["a fresh connection", "a connection that another call dialed", "a retry"] as const;
  const kinds = ["an iterator", "a generator", "a Node stream", "a web stream"] as const;

  for (const scenario of scenarios) {
    test.each(kinds)(`over ${scenario}, with %s from a factory`, async (kind) => {
      const clock = new SteeredClock();
      const log = new Map<string, Set<string | undefined>>();
      const { note, bodies } = hooks(log);
      await using peer = await scriptedPeer({ clock });
      let conn: PeerConn | null = null;
      if (scenario !== "a fresh connection") conn = await store.run("the other", () => warm(peer));
      if (scenario === "a retry") {
        clock.beforeTurn = () => {
          clock.beforeTurn = null;
          conn?.reset();
          conn = null;
        };
      }
      let made = 0;
      const call = store.run("mine", () =>
        peer.client.post(peer.url(), {
          body: () => {
            made++;
            note("factory");
            return bodies[kind]() as AsyncIterable<Uint8Array>;
          },
          trailers: {
            names: ["X-Sum"],
            values: () => {
              note("trailers");
              return { "X-Sum": "2" };
            },
          },
          onInformation: () => note("onInformation"),
          trace: ({ type }) => note(`trace ${type}`),
        }),
      );
      if (scenario !== "a connection that another call dialed") conn = await peer.accept();
      await serve(conn as PeerConn);
      expect(await (await call).text()).toBe("ok");
      expect(peer.transport.stats().retries).toBe(scenario === "a retry" ? 1 : 0);
      expect(made).toBe(1);
      expect([...log.keys()]).toEqual(expect.arrayContaining(["factory", "trailers", "onInformation", "trace end"]));
      for (const [what, seen] of log) expect([what, [...seen]]).toEqual([what, ["mine"]]);
    });
  }

  test("when it is given up: return() of its iterator", async () => {
    const log = new Map<string, Set<string | undefined>>();
    const { bodies } = hooks(log);
    await using peer = await scriptedPeer();
    const conn = await store.run("the other", () => warm(peer));
    const controller = new AbortController();
    const endless = bodies["an iterator"]();
    const body = {
      ...endless,
      next: () => endless.next().then((result) => (result.done ? new Promise<never>(() => {}) : result)),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
    const call = store.run("mine", () => peer.client.post(peer.url(), { body, signal: controller.signal }));
    const failed = expect(call).rejects.toThrow("abort");
    await conn.readHead();
    await conn.expect("1\r\na\r\n1\r\nb\r\n");
    store.run("who aborts", () => controller.abort());
    await failed;
    expect([...(log.get("return()") ?? [])]).toEqual(["mine"]);
  });

  test("trailers of a request that was made in another context", async () => {
    await using peer = await scriptedPeer();
    const seen: (string | undefined)[] = [];
    const request = store.run(
      "who made it",
      () =>
        new Request(peer.url(), {
          method: "POST",
          body: "x",
          trailers: {
            names: ["X-Sum"],
            values: () => {
              seen.push(store.getStore());
              return {};
            },
          },
        }),
    );
    let conn: PeerConn | null = null;
    for (const name of ["first", "second"]) {
      const call = store.run(name, () => peer.client.do(request));
      conn ??= await peer.accept();
      await conn.readHead();
      await conn.expect("1\r\nx\r\n0\r\n\r\n");
      conn.reply(OK);
      await (await call).bytes();
    }
    expect(seen).toEqual(["first", "second"]);
  });

  test("a dialer, also for a call that waited for another's slot, and for a retry [TestTransportDialContext]", async () => {
    const dialedIn: (string | undefined)[] = [];
    const dial: UserDial = ({ host, port, onread }) => {
      dialedIn.push(store.getStore());
      return connect({ host, port, onread, allowHalfOpen: true });
    };
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, dial, maxConnsPerHost: 1 });
    const first = store.run("first", () => peer.client.get(peer.url()));
    const second = store.run("second", () => peer.client.get(peer.url()));
    const a = await peer.accept();
    await a.readHead();
    a.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    await (await first).bytes();
    const b = await peer.accept();
    await b.readHead();
    b.reply(OK);
    await (await second).bytes();
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      b.reset();
    };
    const third = store.run("third", () => peer.client.get(peer.url()));
    const c = await peer.accept();
    await c.readHead();
    c.reply(OK);
    await (await third).bytes();
    expect(dialedIn).toEqual(["first", "second", "third"]);
  });

  test("and a connection runs in none: it would keep the first call's alive, and serves others", async () => {
    const written: (string | undefined)[] = [];
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        written.push(store.getStore());
        queueMicrotask(() => stream.push(OK));
        done();
      },
    });
    await using transport = new Transport({ dial: () => stream });
    const client = new Client({ transport });
    for (const name of ["first", "second"]) {
      const call = store.run(name, () => client.get("http://somewhere/"));
      expect(await (await call).text()).toBe("ok");
    }
    expect(written).toEqual([undefined, undefined]);
  });

  test("and what comes after `await` is in its own context, as ever", async () => {
    await using peer = await scriptedPeer();
    const conn = await store.run("the other", () => warm(peer));
    await store.run("mine", async () => {
      const call = peer.client.get(peer.url());
      await conn.readHead();
      conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
      const res = await call;
      expect(store.getStore()).toBe("mine");
      const chunks = res[Symbol.asyncIterator]();
      await chunks.next();
      conn.reply("k");
      await chunks.next();
      expect(store.getStore()).toBe("mine");
    });
  });
});
