import { Readable } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { ConnectionClosedError, IncompleteBodyError, RemoteProtocolError } from "../lib/errors.ts";
import { Request } from "../lib/message/request.ts";
import { type ResponseInput, readResponse } from "../lib/read-response.ts";

const CHUNKED =
  "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
  "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n" +
  "HTTP/1.1 500 Next\r\n\r\n";
const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
async function* one(text: string) {
  for (const byte of bytes(text)) yield new Uint8Array([byte]);
}

describe("readResponse()", () => {
  const sources: [string, (text: string) => ResponseInput][] = [
    ["a string", (text) => text],
    ["bytes", bytes],
    ["an async iterable, byte by byte", one],
    ["a web stream", (text) => new Blob([text]).stream()],
    ["a Node stream", (text) => Readable.from([Buffer.from(text)])],
  ];
  test.each(sources)("reads the final response from %s, and its trailers", async (_, make) => {
    const response = await readResponse(make(CHUNKED));
    expect([response.status, response.statusText, response.framing, response.httpVersion]).toEqual([
      200,
      "Fine",
      "chunked",
      "1.1",
    ]);
    expect(response.headers.get("x-a")).toBe("1");
    expect(await response.text()).toBe("abcde");
    expect(response.trailers?.get("x-sum")).toBe("7");
  });

  test("resolves at the head, and reads the body as it is asked for", async () => {
    let asked = 0;
    const parts = ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "ab", "cd"];
    const response = await readResponse(
      (async function* () {
        for (const part of parts) {
          asked++;
          yield part;
        }
      })(),
    );
    expect(asked).toBe(1);
    expect(response.trailers).toBeNull();
    const body = response[Symbol.asyncIterator]();
    expect((await body.next()).value).toEqual(bytes("ab"));
    expect(asked).toBe(2);
  });

  test.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"],
    ["CONNECT", "HTTP/1.1 200 Yes\r\n\r\nbytes of the tunnel"],
    ["GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbytes of x"],
  ])("to %s %j has no body (RFC 9112 §6.3), and gives its source up", async (method, text) => {
    const returned = vi.fn(async () => ({ done: true as const, value: undefined }));
    let given = false;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (given) return new Promise<never>(() => {});
          given = true;
          return { done: false as const, value: bytes(text) };
        },
        return: returned,
      }),
    };
    const response = await readResponse(source, { method });
    expect([response.body, await response.text()]).toEqual([null, ""]);
    expect([...(response.trailers ?? ["none"])]).toEqual([]);
    expect(returned).toHaveBeenCalledTimes(1);
  });

  test("a body of no bytes is a body", async () => {
    const response = await readResponse("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    expect(response.body).not.toBeNull();
    expect(await response.text()).toBe("");
  });

  test("a body that ends with the source is whole where nothing else was said", async () => {
    const response = await readResponse("HTTP/1.0 200 OK\r\n\r\nabc");
    expect([response.framing, response.httpVersion, await response.text()]).toEqual(["close", "1.0", "abc"]);
  });

  test("knows the request", async () => {
    const request = new Request("http://host/a");
    const response = await readResponse("HTTP/1.1 204 No Content\r\n\r\n", request);
    expect([response.url, response.request]).toEqual(["http://host/a", request]);
  });

  test.each([
    ["nothing", "", ConnectionClosedError],
    ["half a head", "HTTP/1.1 200 OK\r\nA", ConnectionClosedError],
    ["only a 1xx", "HTTP/1.1 103 Early Hints\r\n\r\n", ConnectionClosedError],
    ["something else", "SSH-2.0-OpenSSH\r\n", RemoteProtocolError],
  ])("rejects %s", async (_, text, error) => {
    await expect(readResponse(text)).rejects.toBeInstanceOf(error);
  });

  test("a body that is cut rejects the read, with what was there and what was missing", async () => {
    const response = await readResponse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
    const error = await response.text().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(IncompleteBodyError);
    expect(error).toMatchObject({ expected: 5, received: 3 });
  });

  test("passes the error of the source on, before and after the head", async () => {
    const own = new Error("mine");
    await expect(
      readResponse(
        (async function* () {
          yield "HTTP/1.1 ";
          throw own;
        })(),
      ),
    ).rejects.toBe(own);
    const response = await readResponse(
      (async function* () {
        yield "HTTP/1.1 200 OK\r\n\r\nabc";
        throw own;
      })(),
    );
    await expect(response.text()).rejects.toBe(own);
  });

  test("close() destroys the source", async () => {
    const stream = new Readable({ read() {} });
    stream.push("HTTP/1.1 200 OK\r\n\r\nabc");
    const response = await readResponse(stream);
    await response.close();
    expect(stream.destroyed).toBe(true);
    await expect(response.text()).rejects.toThrow(TypeError);
  });

  test("keeps no view on the caller's bytes", async () => {
    const given = bytes("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 3\r\n\r\nabc");
    const response = await readResponse(given);
    given.fill(0);
    expect([response.headers.get("x-a"), await response.text()]).toEqual(["1", "abc"]);
  });
});
