import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { Headers, PairLines } from "../../lib/message/headers.ts";
import { Request } from "../../lib/message/request.ts";
import { RequestBody } from "../../lib/message/request-body.ts";
import { type BodySource, Response, type ResponseBacking, responseOf } from "../../lib/message/response.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const USED = { name: "TypeError", code: "ERR_HTTP_BODY_USED" };

/**
 * A body that a spec feeds step by step; as on a connection, a read under way is left alone by `close()`, and nobody else
 * may read meanwhile.
 */
class FedBody implements BodySource {
  length: number | null = null;
  closed = 0;
  readonly #items: (Uint8Array | null | { error: unknown })[] = [];
  #wake: (() => void) | null = null;

  constructor(...items: (string | null)[]) {
    for (const item of items) this.feed(item);
  }
  feed(item: string | null | { error: unknown }): void {
    this.#items.push(typeof item === "string" ? bytes(item) : item);
    this.#wake?.();
  }
  tryRead(): Uint8Array | null | undefined {
    if (this.#wake !== null) throw new Error("read by two at once");
    const item = this.#items[0];
    if (item === null) return null;
    if (item instanceof Uint8Array || item === undefined) return this.#items.shift() as Uint8Array | undefined;
    throw item.error;
  }
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const now = this.tryRead();
      if (now !== undefined) return now;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }
  close(): void {
    this.closed++;
  }
}

function backing(body: BodySource | null, more: Partial<ResponseBacking> = {}): ResponseBacking {
  return {
    status: 200,
    statusText: "OK",
    httpVersion: "1.1",
    fields: new PairLines([["Content-Type", "text/x"]]),
    framing: "length",
    body,
    url: "http://host/",
    request: null,
    redirected: false,
    decompressed: false,
    connection: null,
    trailers: () => null,
    timings: () => null,
    ...more,
  };
}
const over = (...items: (string | null)[]) => {
  const body = new FedBody(...items);
  return { body, response: responseOf(backing(body)) };
};

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Every way to read a whole body as text. */
const WAYS: [string, (response: Response) => Promise<string>][] = [
  ["text()", (r) => r.text()],
  ["bytes()", async (r) => Buffer.from(await r.bytes()).toString()],
  ["arrayBuffer()", async (r) => Buffer.from(await r.arrayBuffer()).toString()],
  ["blob()", async (r) => (await r.blob()).text()],
  ["json()", async (r) => JSON.stringify(await r.json())],
  [
    "for await",
    async (r) => {
      let text = "";
      for await (const chunk of r) text += Buffer.from(chunk).toString("latin1");
      return Buffer.from(text, "latin1").toString();
    },
  ],
  [
    "body",
    async (r) => {
      const parts: Uint8Array[] = [];
      for await (const part of r.body!) parts.push(part);
      return Buffer.concat(parts).toString();
    },
  ],
  [
    "a reader with its own buffer",
    async (r) => {
      const reader = r.body!.getReader({ mode: "byob" });
      const parts: Uint8Array[] = [];
      for (;;) {
        const { done, value } = await reader.read(new Uint8Array(4));
        if (value !== undefined) parts.push(value);
        if (done) return Buffer.concat(parts).toString();
      }
    },
  ],
  [
    "readable()",
    async (r) => {
      const parts: Uint8Array[] = [];
      for await (const part of r.readable()) parts.push(part);
      return Buffer.concat(parts).toString();
    },
  ],
  [
    "textStream()",
    async (r) => {
      let text = "";
      for await (const part of r.textStream()) text += part;
      return text;
    },
  ],
];
const TEXT = '{"a":"hé€llo"}';

describe.each(WAYS)("Response: %s", (name, read) => {
  const cuts: [string, number[]][] = [
    ["in one chunk", []],
    ["in two", [3]],
    ["cut inside characters", [7, 9, 10]],
    ["with empty chunks between", [0, 3, 3, 3, 7]],
    ["byte by byte", Array.from({ length: bytes(TEXT).length - 1 }, (_, i) => i + 1)],
  ];
  test.each(cuts)("gives the whole body that is there already, %s", async (_, at) => {
    const all = bytes(TEXT);
    const body = new FedBody();
    const edges = [0, ...at, all.length];
    const source: BodySource = {
      length: all.length,
      tryRead: () => (edges.length < 2 ? null : all.slice(edges.shift(), edges[0])),
      read: () => body.read(),
      close() {},
    };
    expect(await read(responseOf(backing(source)))).toBe(TEXT);
  });

  test("waits for what has not come yet", async () => {
    const { body, response } = over('{"a"');
    const reading = read(response);
    await turn();
    body.feed(":1");
    await turn();
    body.feed("}");
    body.feed(null);
    expect(await reading).toBe('{"a":1}');
    expect(body.closed).toBe(0);
  });

  test("rejects with the body's own error, and nothing else does", async () => {
    const error = new Error("cut off");
    const { body, response } = over("{");
    const reading = read(response);
    await turn();
    body.feed({ error });
    await expect(reading).rejects.toBe(error);
    await turn();
    expect(unhandled).toEqual([]);
  });

  test("can be done once, and after no other way", async () => {
    const { response } = over("{}", null);
    await read(response);
    expect(response.bodyUsed).toBe(true);
    // The web stream stays there to be seen, ended or locked; it is the one way that does not reject.
    for (const [, again] of WAYS.filter(([way]) => way !== "body" && way !== "a reader with its own buffer")) {
      await expect((async () => again(response))()).rejects.toMatchObject(USED);
    }
    if (name !== "body") expect(response.body?.locked).toBe(true);
  });

  test("ends when the response is closed meanwhile, though its source never answers", async () => {
    const { body, response } = over('{"a"');
    const reading = read(response);
    reading.catch(() => {});
    await turn();
    await response.close();
    await expect(reading).rejects.toThrow();
    expect(body.closed).toBe(1);
    body.feed("late");
    await turn();
    expect(unhandled).toEqual([]);
  });
});

describe("Response", () => {
  test("shows what its backing says", () => {
    const request = new Request("http://host/");
    const connection = { id: 1 } as never;
    const response = responseOf(
      backing(null, {
        status: 404,
        statusText: "Nope",
        request,
        redirected: true,
        connection,
        framing: "none",
        httpVersion: "1.0",
      }),
    );
    expect(response).toMatchObject({
      status: 404,
      statusText: "Nope",
      ok: false,
      type: "basic",
      url: "http://host/",
      redirected: true,
      request,
      connection,
      framing: "none",
      httpVersion: "1.0",
      timings: null,
      trailers: null,
      bodyUsed: false,
      body: null,
    });
    expect(inspect(response)).toBe("Response { 404 Nope, http://host/, body unread }");
    expect([200, 204, 299, 300, 199].map((status) => responseOf(backing(null, { status })).ok)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test("headers are made once, immutable, and without what decoding took away", () => {
    const fields = new PairLines([
      ["Content-Encoding", "gzip"],
      ["Content-Length", "9"],
      ["A", "1"],
    ]);
    const plain = responseOf(backing(null, { fields }));
    expect(plain.headers).toBe(plain.headers);
    expect(() => plain.headers.append("a", "b")).toThrow(TypeError);
    expect(plain.headers.get("content-length")).toBe("9");
    const decoded = responseOf(backing(null, { fields, decompressed: true }));
    expect([...decoded.headers]).toEqual([["a", "1"]]);
    expect(decoded.headers.raw).toHaveLength(3);
  });

  test("trailers are null until the last byte, then a Headers", () => {
    let lines: PairLines | null = null;
    const response = responseOf(backing(null, { trailers: () => lines }));
    expect(response.trailers).toBeNull();
    lines = new PairLines([["X", "1"]]);
    expect(response.trailers?.get("x")).toBe("1");
    expect(response.trailers).toBe(response.trailers);
  });

  test("text() takes a byte order mark away, and marks what is no UTF-8", async () => {
    expect(await over("\ufeffa", null).response.text()).toBe("a");
    const broken = {
      length: 1,
      tryRead: vi
        .fn()
        .mockReturnValueOnce(new Uint8Array([0xff]))
        .mockReturnValue(null),
      read: async () => null,
      close() {},
    };
    expect(await responseOf(backing(broken)).text()).toBe("\ufffd");
  });

  test("bytes() of one chunk is that chunk, uncopied, and a plain Uint8Array", async () => {
    const chunk = bytes("abc").slice();
    const source = (given: Uint8Array) => ({
      length: 3,
      tryRead: vi.fn().mockReturnValueOnce(given).mockReturnValue(null),
      read: async () => null,
      close() {},
    });
    expect(await responseOf(backing(source(chunk))).bytes()).toBe(chunk);
    const buffer = Buffer.allocUnsafeSlow(3).fill("abc");
    const plain = await responseOf(backing(source(buffer))).bytes();
    expect(plain.constructor).toBe(Uint8Array);
    expect(plain.buffer).toBe(buffer.buffer);
    const shared = Buffer.from("abc"); // a part of Node's pool
    const own = await responseOf(backing(source(shared))).bytes();
    expect(own.buffer).not.toBe(shared.buffer);
    expect(own.buffer.byteLength).toBe(3);
  });

  test("a web stream takes no pooled buffer away from others", async () => {
    const pooled = Buffer.from("abc");
    const source = {
      length: 3,
      tryRead: vi.fn().mockReturnValueOnce(pooled).mockReturnValue(null),
      read: async () => null,
      close() {},
    };
    for await (const _ of responseOf(backing(source)).body!);
    expect(pooled.toString()).toBe("abc");
  });

  test("blob() has the content type", async () => {
    expect((await over("a", null).response.blob()).type).toBe("text/x");
  });

  test("touching body reads nothing, and leaves every way open", async () => {
    const { response } = over("{}", null);
    const stream = response.body;
    expect(response.body).toBe(stream);
    expect(response.bodyUsed).toBe(false);
    expect(await response.text()).toBe("{}");
    expect(stream?.locked).toBe(true);
  });

  test("a web stream that was read from and let go is used up for the other ways", async () => {
    const { response } = over("a", "b", null);
    const reader = response.body!.getReader();
    await reader.read();
    reader.releaseLock();
    expect(response.bodyUsed).toBe(true);
    await expect(response.text()).rejects.toMatchObject(USED);
  });

  test("a web stream rejects its next read when the response was closed", async () => {
    const { response } = over("a", "b", null);
    const reader = response.body!.getReader();
    await reader.read();
    await response.close();
    await expect(reader.read()).rejects.toMatchObject(USED);
  });

  test("a locked body cannot be read in another way", async () => {
    const { response } = over("{}", null);
    const reader = response.body!.getReader();
    await expect(response.text()).rejects.toMatchObject(USED);
    expect(() => response.clone()).toThrow(TypeError);
    expect((await reader.read()).value).toEqual(bytes("{}"));
  });

  test("without a body it reads as nothing, again and again", async () => {
    const response = responseOf(backing(null));
    expect(response.body).toBeNull();
    for (let i = 0; i < 2; i++) {
      expect([await response.text(), (await response.bytes()).length]).toEqual(["", 0]);
      for await (const _ of response) expect.unreachable();
      for await (const _ of response.readable()) expect.unreachable();
      for await (const _ of response.textStream()) expect.unreachable();
    }
    await response.close();
    expect([response.bodyUsed, await response.text()]).toEqual([false, ""]);
    await expect(response.json()).rejects.toThrow(SyntaxError);
  });

  const leaving: [string, (response: Response) => unknown][] = [
    ["close()", (r) => r.close()],
    [
      "await using",
      async (r) => {
        await r[Symbol.asyncDispose]();
      },
    ],
    [
      "break",
      async (r) => {
        for await (const _ of r) break;
      },
    ],
    [
      "a throw in the loop",
      async (r) => {
        try {
          for await (const _ of r) throw new Error("x");
        } catch {}
      },
    ],
    ["body.cancel()", (r) => r.body!.cancel()],
    [
      "a reader's cancel()",
      async (r) => {
        const reader = r.body!.getReader();
        await reader.read();
        await reader.cancel();
      },
    ],
    [
      "readable().destroy()",
      async (r) => {
        const s = r.readable();
        s.destroy();
        await turn();
      },
    ],
    ["textStream().cancel()", (r) => r.textStream().cancel()],
  ];
  test.each(leaving)("%s closes the source once, and later reads reject", async (_, leave) => {
    const { body, response } = over("a", "b");
    await leave(response);
    expect(body.closed).toBe(1);
    await response.close();
    expect(body.closed).toBe(1);
    expect(response.bodyUsed).toBe(true);
    await expect(response.text()).rejects.toMatchObject(USED);
    await turn();
    expect(unhandled).toEqual([]);
  });

  test("close() after the end closes nothing", async () => {
    const { body, response } = over("a", null);
    await response.text();
    await response.close();
    expect(body.closed).toBe(0);
  });

  test("a stream made after close() is errored", async () => {
    const { response } = over("a");
    await response.close();
    expect(response.body?.locked).toBe(true);
    await expect(response.body!.cancel()).rejects.toThrow(TypeError);
  });

  test("iteration may be asked ahead, and answers in order", async () => {
    const { body, response } = over("a");
    const iterator = response[Symbol.asyncIterator]();
    const asked = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
    body.feed("b");
    await turn();
    body.feed("c");
    body.feed(null);
    expect((await Promise.all(asked)).map(({ done, value }) => (done ? null : Buffer.from(value).toString()))).toEqual([
      "a",
      "b",
      "c",
      null,
    ]);
  });

  test("a Node stream asks for one chunk at a time, and stops asking when it is full", async () => {
    let given = 0;
    const chunk = new Uint8Array(40 * 1024);
    const source: BodySource = {
      length: null,
      tryRead: () => (given++ < 100 ? chunk.slice() : null),
      read: async () => null,
      close() {},
    };
    const stream = responseOf(backing(source)).readable();
    stream.on("readable", () => {});
    await turn();
    expect(given).toBeLessThan(5);
    stream.destroy();
  });

  test("ignoring the body of a response that fails is silent", async () => {
    const { body, response } = over("a");
    void response.body;
    body.feed({ error: new Error("cut off") });
    await turn();
    expect(unhandled).toEqual([]);
  });

  describe("clone()", () => {
    test("gives both the whole body, however they take turns", async () => {
      const { body, response } = over("a");
      const copy = response.clone();
      const third = copy.clone();
      const slow = copy.text();
      body.feed("b");
      await turn();
      const quick = response[Symbol.asyncIterator]();
      expect((await quick.next()).value).toEqual(bytes("a"));
      body.feed("c");
      body.feed(null);
      expect(await slow).toBe("abc");
      expect((await quick.next()).value).toEqual(bytes("b"));
      expect(await third.text()).toBe("abc");
      expect([copy.status, copy.headers.get("content-type")]).toEqual([200, "text/x"]);
    });

    test("both may wait for the same chunk", async () => {
      const fed = over();
      const copy = fed.response.clone();
      const texts = [fed.response.text(), copy.text()];
      await turn();
      fed.body.feed("a");
      await turn();
      fed.body.feed("b");
      fed.body.feed(null);
      expect(await Promise.all(texts)).toEqual(["ab", "ab"]);
    });

    test("shares no bytes", async () => {
      const { response } = over("abc", null);
      const copy = response.clone();
      (await response.bytes()).fill(0);
      expect(await copy.text()).toBe("abc");
    });

    test("both get the error; the source is closed when both are", async () => {
      const error = new Error("cut off");
      const failing = over("a");
      const [a, b] = [failing.response, failing.response.clone()];
      failing.body.feed({ error });
      await expect(a.text()).rejects.toBe(error);
      await expect(b.text()).rejects.toBe(error);

      const { body, response } = over("a");
      const copy = response.clone();
      await response.close();
      expect(body.closed).toBe(0);
      await copy.close();
      expect(body.closed).toBe(1);
    });

    test("one that is closed keeps nothing for the other's sake", async () => {
      const { body, response } = over("a");
      const copy = response.clone();
      await copy.close();
      body.feed("b");
      body.feed(null);
      expect(await response.text()).toBe("ab");
      await expect(copy.text()).rejects.toMatchObject(USED);
    });

    test("throws when the body was read", async () => {
      const { response } = over("a", null);
      await response.text();
      expect(() => response.clone()).toThrow(TypeError);
      expect(responseOf(backing(null)).clone().body).toBeNull();
    });
  });
});

describe("new Response()", () => {
  test("is the standard constructor", async () => {
    const ours = new Response("hé", { status: 201, statusText: "Made", headers: { "X-A": "1" } });
    const theirs = new globalThis.Response("hé", { status: 201, statusText: "Made", headers: { "X-A": "1" } });
    for (const key of ["status", "statusText", "ok", "type", "url", "redirected", "bodyUsed"] as const)
      expect(ours[key]).toBe(theirs[key]);
    expect([...ours.headers]).toEqual([...theirs.headers]);
    expect(await ours.text()).toBe(await theirs.text());
    expect(String(ours)).toBe(String(theirs));
    expect(new Response().body).toBeNull();
    expect(new Response(null, new globalThis.Response(null, { status: 404 })).status).toBe(404);
  });

  test("and takes what caches and mocks need", async () => {
    const request = new Request("http://host/");
    const response = new Response("a", {
      url: "http://host/x",
      trailers: { X: "1" },
      timings: { startedAt: 1 } as never,
      connection: { id: 7 } as never,
      request,
    });
    expect(response).toMatchObject({
      url: "http://host/x",
      timings: { startedAt: 1 },
      connection: { id: 7 },
      request,
      framing: "length",
      trailers: null,
    });
    await response.text();
    expect(response.trailers?.get("x")).toBe("1");
  });

  test.each([
    ["a status below 200", ["", { status: 199 }], RangeError],
    ["a status above 599", ["", { status: 600 }], RangeError],
    ["a body with 204", ["a", { status: 204 }], TypeError],
    ["a body with 304", ["a", { status: 304 }], TypeError],
    ["a reason with a line end", ["", { statusText: "a\nb" }], TypeError],
    ["bad headers", ["", { headers: { "a b": "1" } }], TypeError],
    ["a body that is none", [{ a: 1 }], TypeError],
  ])("refuses %s", (_, args, error) => {
    expect(() => new Response(...(args as [never, never]))).toThrow(error);
  });

  test("refuses a stream that is locked, as the standard with a TypeError", () => {
    const stream = new ReadableStream();
    stream.getReader();
    expect(() => new Response(stream)).toThrow(TypeError);
  });

  test("keeps a copy of bytes, and gives out another", async () => {
    const given = bytes("abc");
    const response = new Response(given);
    const copy = response.clone();
    given.fill(0);
    (await response.bytes()).fill(0);
    expect(await copy.text()).toBe("abc");
  });

  test("two made of one body share no bytes", async () => {
    const body = RequestBody.from(bytes("abc"));
    (await new Response(body).bytes()).fill(0);
    expect(await new Response(body).text()).toBe("abc");
  });

  test("cancels a stream that it was made of when it is closed", async () => {
    const cancel = vi.fn();
    await new Response(new ReadableStream({ cancel })).close();
    expect(cancel).toHaveBeenCalledTimes(1);
  });

  test("reads a stream that it was made of", async () => {
    const response = new Response(new Blob(["a", "b"], { type: "x/y" }).stream());
    expect(await response.text()).toBe("ab");
    expect(await new Response(new Blob(["ab"], { type: "x/y" })).blob()).toMatchObject({ type: "x/y", size: 2 });
  });

  test("formData() reads back what was encoded", async () => {
    const form = new FormData();
    form.append("a", "1");
    form.append("f", new File(["x"], "n.txt"));
    const back = await new Response(form).formData();
    expect(back.get("a")).toBe("1");
    expect(await (back.get("f") as File).text()).toBe("x");
    expect([...(await new Response(new URLSearchParams({ b: "2" })).formData())]).toEqual([["b", "2"]]);
    await expect(new Response("x").formData()).rejects.toThrow(TypeError);
  });

  test("json(), redirect() and error() make what the standard makes", async () => {
    const json = Response.json({ a: 1 }, { status: 201, headers: new Headers({ b: "2" }) });
    expect([json.status, json.headers.get("content-type"), json.headers.get("b"), await json.json()]).toEqual([
      201,
      "application/json",
      "2",
      { a: 1 },
    ]);
    expect(() => Response.json(undefined)).toThrow(TypeError);
    const redirect = Response.redirect("http://host/a b", 307);
    expect([redirect.status, redirect.headers.get("location"), redirect.body]).toEqual([
      307,
      "http://host/a%20b",
      null,
    ]);
    expect(() => Response.redirect("http://host/", 200)).toThrow(RangeError);
    expect(() => Response.redirect("/relative")).toThrow(TypeError);
    expect(Response.error()).toMatchObject({ status: 0, type: "error", ok: false, body: null });
  });
});
