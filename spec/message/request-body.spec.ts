import { AsyncLocalStorage } from "node:async_hooks";
import { Readable } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { BodyUsedError, LocalProtocolError } from "../../lib/errors.ts";
import { type BodyInit, type BodyReader, RequestBody } from "../../lib/message/request-body.ts";

async function readAll(reader: BodyReader): Promise<string> {
  let text = "";
  for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next())
    text += Buffer.from(chunk).toString("latin1");
  return text;
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const webStream = (...chunks: unknown[]) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
const form = (entries: [string, string | Blob][]) => {
  const made = new FormData();
  for (const [name, value] of entries) made.append(name, value as string);
  return made;
};
async function* chunks(...items: unknown[]) {
  yield* items;
}

describe("RequestBody.from()", () => {
  const FORM = "application/x-www-form-urlencoded;charset=UTF-8";
  const TEXT = "text/plain;charset=UTF-8";
  const kinds: [string, () => BodyInit, RequestBody["kind"], number | null, string | null, string][] = [
    ["an ASCII string", () => "hello", "memory", 5, TEXT, "hello"],
    ["an empty string", () => "", "memory", 0, TEXT, ""],
    ["a string outside ASCII", () => "hé€", "memory", 6, TEXT, "h\xc3\xa9\xe2\x82\xac"],
    ["a lone surrogate", () => "\ud800", "memory", 3, TEXT, "\xef\xbf\xbd"],
    ["a Uint8Array", () => bytes("ab"), "memory", 2, null, "ab"],
    ["a part of a buffer", () => bytes("abcd").subarray(1, 3), "memory", 2, null, "bc"],
    ["a DataView", () => new DataView(bytes("abcd").buffer, 1, 2), "memory", 2, null, "bc"],
    ["an Int16Array", () => new Int16Array([0x6261]), "memory", 2, null, "ab"],
    ["an ArrayBuffer", () => bytes("ab").buffer, "memory", 2, null, "ab"],
    ["URLSearchParams", () => new URLSearchParams({ a: "1 ü" }), "memory", 10, FORM, "a=1+%C3%BC"],
    ["a Blob", () => new Blob(["abc"], { type: "text/x" }), "factory", 3, "text/x", "abc"],
    ["a Blob without type", () => new Blob(["abc"]), "factory", 3, null, "abc"],
    ["an array of chunks", () => ["a", bytes("b"), ""], "factory", 2, null, "ab"],
    ["a factory of a string", () => () => "abc", "factory", null, null, "abc"],
    ["an async factory of a stream", () => async () => Readable.from(["a", "b"]), "factory", null, null, "ab"],
    ["an async generator function", () => () => chunks("a", "b"), "factory", null, null, "ab"],
    ["a factory of a Blob", () => () => new Blob(["abc"]), "factory", null, null, "abc"],
    ["a Node stream", () => Readable.from([Buffer.from("a"), Buffer.from("bc")]), "one-shot", null, null, "abc"],
    ["a Node stream of strings", () => Readable.from(["a", "ü"]), "one-shot", null, null, "a\xc3\xbc"],
    ["a web stream", () => webStream(bytes("a"), "b"), "one-shot", null, null, "ab"],
    ["an async iterable", () => chunks("a", bytes("b")), "one-shot", null, null, "ab"],
    ["empty chunks on the way", () => chunks("", "a", bytes(""), "b", ""), "one-shot", null, null, "ab"],
    ["a sync iterable", () => new Set(["a", "b"]), "one-shot", null, null, "ab"],
    ["a sync iterable of promises", () => new Set([Promise.resolve("a"), "b"]), "one-shot", null, null, "ab"],
    ["a stream that is empty", () => Readable.from([]), "one-shot", null, null, ""],
  ];
  test.each(kinds)("takes %s", async (_, init, kind, length, contentType, sent) => {
    const body = RequestBody.from(init());
    expect({ kind: body.kind, length: body.length, contentType: body.contentType }).toEqual({
      kind,
      length,
      contentType,
    });
    expect(body.regenerable).toBe(kind !== "one-shot");
    const reader = body.open();
    expect(reader.length).toBe(length);
    if (kind === "memory") expect(Buffer.from(reader.memory as string, "latin1").toString("latin1")).toBe(sent);
    else expect(reader.memory).toBeNull();
    expect(await readAll(reader)).toBe(sent);
    expect(await reader.next()).toBeNull();
    if (kind === "one-shot") {
      expect(body.used).toBe(true);
      expect(() => body.open()).toThrow(BodyUsedError);
    } else {
      expect(await readAll(body.open())).toBe(sent);
      const [a, b] = [body.open(), body.open()];
      expect(await Promise.all([readAll(a), readAll(b)])).toEqual([sent, sent]);
    }
  });

  test("keeps ASCII text as text and bytes as the caller's own view", () => {
    expect(RequestBody.from("abc").memory).toBe("abc");
    const view = bytes("abc");
    expect(RequestBody.from(view).memory).toBe(view);
  });

  test.each([
    ["a number", 1, /it is number/],
    ["null", null, /it is null/],
    ["a plain object", { a: 1 }, /it is Object; option json/],
    ["an array of numbers", [1, 2], /a chunk of it is number/],
  ])("refuses %s by type", (_, init, message) => {
    expect(() => RequestBody.from(init as never)).toThrow(TypeError);
    expect(() => RequestBody.from(init as never)).toThrow(message);
  });

  const spent: [string, () => BodyInit | Promise<BodyInit>, RegExp][] = [
    ["a destroyed Node stream", () => Readable.from(["a"]).destroy(), /destroyed/],
    [
      "a Node stream that was read from",
      async () => {
        const stream = Readable.from(["a", "b"]);
        for await (const _ of stream.iterator({ destroyOnReturn: false })) break;
        return stream;
      },
      /read from before/,
    ],
    [
      "a Node stream that has ended",
      async () => {
        const stream = Readable.from(["a"]);
        for await (const _ of stream);
        return stream;
      },
      /ended/,
    ],
    [
      "a locked web stream",
      () => {
        const stream = webStream("a");
        stream.getReader();
        return stream;
      },
      /locked/,
    ],
    [
      "a disturbed web stream",
      async () => {
        const stream = webStream("a", "b");
        const reader = stream.getReader();
        await reader.read();
        reader.releaseLock();
        return stream;
      },
      /read from before/,
    ],
  ];
  test.each(spent)("refuses %s, naming the body", async (_, make, message) => {
    const init = await make();
    const refuse = () => RequestBody.from(init);
    expect(refuse).toThrow(message);
    expect(refuse).toThrow(expect.objectContaining({ name: "LocalProtocolError", field: "body" }));
  });

  test("open() looks again at a stream that others took meanwhile", () => {
    const stream = webStream("a");
    const body = RequestBody.from(stream);
    stream.getReader();
    expect(() => body.open()).toThrow(LocalProtocolError);
  });

  test("open() throws the own error of a stream that broke meanwhile", async () => {
    const stream = new Readable({ read() {} });
    const body = RequestBody.from(stream);
    const closed = new Promise((resolve) => stream.once("error", resolve));
    stream.destroy(new Error("disk gone"));
    await closed;
    expect(() => body.open()).toThrow("disk gone");
  });
});

describe("RequestBody.json() and form()", () => {
  test("json() says it once, and refuses what JSON has no word for", () => {
    const body = RequestBody.json({ a: [1, "ü"] });
    expect([body.contentType, body.length, Buffer.from(body.memory as Uint8Array).toString()]).toEqual([
      "application/json",
      14,
      '{"a":[1,"ü"]}',
    ]);
    for (const value of [undefined, () => 1, Symbol("x")]) expect(() => RequestBody.json(value)).toThrow(TypeError);
  });
  test.each([
    ["a record", { a: 1, b: [true, "x y"] }],
    [
      "pairs",
      [
        ["a", "1"],
        ["b", "true"],
        ["b", "x y"],
      ],
    ],
    ["URLSearchParams", new URLSearchParams("a=1&b=true&b=x+y")],
  ])("form() takes %s", (_, init) => {
    expect(RequestBody.form(init as never).memory).toBe("a=1&b=true&b=x+y");
  });
  test.each([[{ a: undefined }], [[["a"]]], ["a=1"], [null]])("form() refuses %j", (init) => {
    expect(() => RequestBody.form(init as never)).toThrow(TypeError);
  });
});

describe("multipart/form-data", () => {
  const boundaryOf = (body: RequestBody) => /boundary=(.*)$/.exec(body.contentType ?? "")?.[1] ?? "";

  test("is made by the rules of the HTML standard: line ends, quoting, types", async () => {
    const body = RequestBody.from(
      form([
        ['a"\r\n\nb', "1\r2\n3\r\n"],
        ["f", new File(["\r"], 'x"\n.txt', { type: "text/x" })],
        ["g", new Blob(["y"])],
      ]),
    );
    const b = boundaryOf(body);
    const text = await readAll(body.open());
    expect(text).toBe(
      `--${b}\r\nContent-Disposition: form-data; name="a%22%0D%0A%0D%0Ab"\r\n\r\n1\r\n2\r\n3\r\n\r\n` +
        `--${b}\r\nContent-Disposition: form-data; name="f"; filename="x%22%0A.txt"\r\nContent-Type: text/x\r\n\r\n\r\r\n` +
        `--${b}\r\nContent-Disposition: form-data; name="g"; filename="blob"\r\nContent-Type: application/octet-stream\r\n\r\ny\r\n` +
        `--${b}--\r\n`,
    );
    expect(body.length).toBe(text.length);
    expect(body.kind).toBe("factory");
    expect(await readAll(body.open())).toBe(text);
  });

  test("is read back by the platform, and is in memory where it has no files", async () => {
    const entries: [string, string][] = [
      ["a", "1"],
      ["ü", "é"],
      ["empty", ""],
    ];
    const body = RequestBody.from(form(entries));
    expect(body.kind).toBe("memory");
    const back = await new globalThis.Response(body.memory, {
      headers: { "content-type": body.contentType! },
    }).formData();
    expect([...back]).toEqual(entries);
  });

  test("has a boundary of its own each time, within the 70 characters of RFC 2046", () => {
    const [a, b] = [boundaryOf(RequestBody.from(form([]))), boundaryOf(RequestBody.from(form([])))];
    expect(a).not.toBe(b);
    expect(a).toMatch(/^[\w-]{20,70}$/);
  });

  test("refuses a Blob whose type could break out of its field", () => {
    const crafty = { [Symbol.toStringTag]: "Blob", size: 1, type: "a\r\nx: y", slice() {}, arrayBuffer() {} };
    expect(() => RequestBody.from(crafty as never)).toThrow(LocalProtocolError);
    const entries = { [Symbol.toStringTag]: "FormData", entries: () => [["a", crafty]], getAll() {} };
    expect(() => RequestBody.from(entries as never)).toThrow(LocalProtocolError);
  });

  test("reads a large Blob in slices", async () => {
    const blob = new Blob([new Uint8Array(300 * 1024)]);
    const reader = RequestBody.from(blob).open();
    expect((await reader.next())?.length).toBe(256 * 1024);
    expect((await reader.next())?.length).toBe(44 * 1024);
    expect(await reader.next()).toBeNull();
  });
});

describe("BodyReader", () => {
  /** Hears of promises that nobody caught; empty at the end of a spec. */
  const unhandled: unknown[] = [];
  process.on("unhandledRejection", (reason) => unhandled.push(reason));
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("rejects with the source's own error, and does not destroy what failed", async () => {
    const own = new Error("mine");
    const returned = vi.fn();
    const failing = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(own), return: returned }),
    };
    const reader = RequestBody.from(failing).open();
    await expect(reader.next()).rejects.toBe(own);
    await expect(reader.next()).rejects.toBe(own);
    reader.destroy();
    expect(returned).not.toHaveBeenCalled();
  });

  test.each([
    [
      "a Node stream",
      () =>
        new Readable({
          read() {
            this.destroy(new Error("mine"));
          },
        }),
    ],
    [
      "a web stream",
      () =>
        new ReadableStream({
          pull() {
            throw new Error("mine");
          },
        }),
    ],
    [
      "a generator",
      () =>
        (async function* () {
          yield "";
          throw new Error("mine");
        })(),
    ],
    [
      "a factory",
      () => () => {
        throw new Error("mine");
      },
    ],
    [
      "an async factory",
      () => async () => {
        throw new Error("mine");
      },
    ],
  ] as [string, () => BodyInit][])("passes the error of %s on", async (_, make) => {
    await expect(RequestBody.from(make()).open().next()).rejects.toThrow("mine");
  });

  test("refuses a chunk that is neither string nor bytes, and closes its source", async () => {
    const returned = vi.fn(async () => ({ done: true, value: undefined }));
    const odd = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: 7 }), return: returned }) };
    const reader = RequestBody.from(odd as never).open();
    await expect(reader.next()).rejects.toThrow(TypeError);
    expect(returned).toHaveBeenCalledTimes(1);
    await expect(RequestBody.from(chunks(null)).open().next()).rejects.toThrow(TypeError);
  });

  test("destroy() ends a source once, also when its clean-up fails, and a read under way with the reason", async () => {
    const reason = new Error("enough");
    let returned = 0;
    const cleanUp = () => {
      returned++;
      return Promise.reject(new Error("clean-up"));
    };
    const stuck = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: cleanUp }) };
    const reader = RequestBody.from(stuck as never).open();
    const read = reader.next();
    reader.destroy(reason);
    reader.destroy(new Error("again"));
    await expect(read).rejects.toBe(reason);
    await expect(reader.next()).rejects.toBe(reason);
    expect(returned).toBe(1);
    await turn();
    expect(unhandled).toEqual([]);
  });

  test("destroy() of a read that nobody waits for is silent", async () => {
    const stuck = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
    const reader = RequestBody.from(stuck as never).open();
    reader.next();
    reader.destroy();
    await turn();
    expect(unhandled).toEqual([]);
  });

  test("destroy() destroys a Node stream with the reason, which ends no process", async () => {
    const stream = new Readable({ read() {} });
    const reason = new Error("enough");
    const reader = RequestBody.from(stream).open();
    const heard = new Promise((resolve) => stream.once("error", resolve));
    reader.destroy(reason);
    expect(stream.destroyed).toBe(true);
    expect(await heard).toBe(reason);
  });

  test("an error between open() and the first next() is kept for that", async () => {
    const stream = new Readable({ read() {} });
    const reader = RequestBody.from(stream).open();
    stream.destroy(new Error("no such file"));
    await turn();
    await expect(reader.next()).rejects.toThrow("no such file");
  });

  test("a Node stream that closes before its end is not a whole body", async () => {
    const stream = new Readable({ read() {} });
    const reader = RequestBody.from(stream).open();
    stream.push("half");
    expect(await reader.next()).toEqual(Buffer.from("half"));
    const read = reader.next();
    stream.destroy();
    await expect(read).rejects.toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
  });

  test("destroy() cancels a web stream, whose own failure to do so is silent", async () => {
    const cancel = vi.fn(() => Promise.reject(new Error("clean-up")));
    const reader = RequestBody.from(new ReadableStream({ cancel })).open();
    const reason = new Error("enough");
    reader.destroy(reason);
    expect(cancel).toHaveBeenCalledExactlyOnceWith(reason);
    await turn();
    expect(unhandled).toEqual([]);
  });

  test("destroy() after the end touches nothing", async () => {
    const returned = vi.fn();
    let left = 1;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => (left-- > 0 ? { done: false, value: "a" } : { done: true, value: undefined }),
        return: returned,
      }),
    };
    const reader = RequestBody.from(source as never).open();
    expect(await readAll(reader)).toBe("a");
    reader.destroy();
    expect(returned).not.toHaveBeenCalled();
  });

  test("a factory that is still at work when destroyed gives its stream to be destroyed, not read", async () => {
    const read = vi.fn();
    const stream = new Readable({ read });
    let deliver!: (stream: Readable) => void;
    const reader = RequestBody.from(
      () =>
        new Promise<Readable>((resolve) => {
          deliver = resolve;
        }),
    ).open();
    const next = reader.next();
    reader.destroy(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
    deliver(stream);
    await turn();
    expect(stream.destroyed).toBe(true);
    expect(read).not.toHaveBeenCalled();
    expect(unhandled).toEqual([]);
  });

  test("a factory is not called before its first byte is asked for, nor when nothing is", async () => {
    const make = vi.fn(() => "a");
    const body = RequestBody.from(make);
    body.open().destroy();
    expect(make).not.toHaveBeenCalled();
    await readAll(body.open());
    expect(make).toHaveBeenCalledTimes(1);
  });

  test("a factory that gives a function, or a spent stream, is refused", async () => {
    await expect(
      RequestBody.from((() => () => "a") as never)
        .open()
        .next(),
    ).rejects.toThrow(TypeError);
    const stream = Readable.from(["a"]);
    const body = RequestBody.from(() => stream);
    expect(await readAll(body.open())).toBe("a");
    await expect(body.open().next()).rejects.toThrow(LocalProtocolError);
  });

  test("the caller's code runs in the async context of open()", async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const source = {
      [Symbol.asyncIterator]: () => {
        seen.push(store.getStore());
        return {
          next: async () => {
            seen.push(store.getStore());
            return { done: false, value: "a" };
          },
          return: async () => {
            seen.push(store.getStore());
            return { done: true, value: undefined };
          },
        };
      },
    };
    const reader = store.run("caller", () => RequestBody.from(() => source).open());
    await store.run("connection", async () => {
      await reader.next();
      reader.destroy();
      await turn();
    });
    expect(seen).toEqual(["caller", "caller", "caller"]);
  });
});

describe("RequestBody.discard()", () => {
  test("destroys a stream that was never sent, and leaves alone what can be sent again or was sent", async () => {
    const stream = new Readable({ read() {} });
    RequestBody.from(stream).discard(new Error("refused"));
    expect(stream.destroyed).toBe(true);
    const sent = Readable.from(["a", "b"]);
    const body = RequestBody.from(sent);
    const reader = body.open();
    body.discard(new Error("refused"));
    expect(await readAll(reader)).toBe("ab");
    RequestBody.from("text").discard(new Error("refused"));
  });
});
