/** The first and the last moment of a stream that is dialed, and the parts that are made of it. */

import { EventEmitter } from "node:events";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { discard, once } from "../../lib/conn/connecting.ts";
import { NegotiatedStream, StreamReader } from "../../lib/conn/dial-product.ts";
import { SocketReader } from "../../lib/conn/socket-conduit.ts";
import { SOCKET_OPTIONS } from "../../lib/conn/socket-options.ts";

describe("once()", () => {
  test.each<[string, unknown[], unknown]>([
    ["connect", [], null],
    ["error", [new Error("no")], new Error("no")],
    ["close", [], Object.assign(new Error("The socket was closed"), { code: "ECONNRESET" })],
  ])("calls back once, at %s, and leaves no listener", (event, args, told) => {
    const socket = new EventEmitter();
    const heard: unknown[] = [];
    once(socket as Socket, "connect", (error) => heard.push(error)); // only its events are used
    expect(socket.eventNames()).toEqual(["connect", "error", "close"]);
    socket.emit(event, ...args);
    for (const late of ["connect", "close"]) socket.emit(late);
    expect(heard).toEqual([told]);
    if (event === "close") expect(heard[0]).toMatchObject({ code: "ECONNRESET" });
    expect(socket.eventNames()).toEqual([]);
  });
});

test("discard() destroys a stream, whose late error ends nothing", () => {
  const socket = new Socket();
  discard(socket);
  expect(socket.destroyed).toBe(true);
  expect(() => socket.emit("error", new Error("late"))).not.toThrow();
});

describe("NegotiatedStream", () => {
  const made = (reader: SocketReader | null) => {
    const socket = new Socket();
    const stream = new NegotiatedStream(
      { socket, reader, kind: "plain", listensToData: false, clock: null as never }, // it needs none
      "h2",
    );
    return { socket, stream };
  };

  test("puts back what came through onread, before and after, copied; and stops where nobody reads", () => {
    const reader = new SocketReader();
    reader.callback(5, new Uint8Array(Buffer.from("early, and more")));
    const { socket, stream } = made(reader);
    let pauses = 0;
    socket.pause = () => {
      pauses++;
      return socket;
    };
    const lent = new Uint8Array(Buffer.from("later"));
    expect(reader.callback(5, lent)).toBe(true);
    lent.fill(0xdb);
    expect(pauses).toBe(0);
    expect(String(socket.read())).toBe("earlylater");
    const much = new Uint8Array(socket.readableHighWaterMark);
    reader.callback(much.length, much);
    expect(pauses).toBe(1);
    expect(stream.stream).toBe(socket);
    expect([stream.protocol, stream.facts.tls]).toEqual(["h2", null]);
    socket.destroy();
  });

  test("without a reader is the socket as it is; unref() is the socket's", () => {
    const { socket, stream } = made(null);
    let unrefs = 0;
    socket.unref = () => {
      unrefs++;
      return socket;
    };
    stream.unref();
    expect(unrefs).toBe(1);
    expect(() => socket.emit("error", new Error("in between"))).not.toThrow();
    stream.destroy();
    expect(socket.destroyed).toBe(true);
  });
});

test("StreamReader stops reading until there is a stream, and then answers as that does", () => {
  const reader = new StreamReader();
  expect(reader.callback(2, new Uint8Array(Buffer.from("one")))).toBe(false);
  const socket = new Socket();
  reader.pushTo(socket);
  const lent = new Uint8Array(Buffer.from("two"));
  expect(reader.callback(3, lent)).toBe(true);
  lent.fill(0xdb);
  expect(String(socket.read())).toBe("ontwo");
  const much = new Uint8Array(socket.readableHighWaterMark);
  expect(reader.callback(much.length, much)).toBe(false);
  expect(reader.buffer).toBe(new SocketReader().buffer);
  socket.destroy();
});

test("SOCKET_OPTIONS says of each name that node:net and node:tls ask for, and we never give, that it is undefined", () => {
  expect(Object.entries(SOCKET_OPTIONS)).toEqual(
    [
      ...["path", "socket", "fd", "handle", "lookup", "hints", "family", "localAddress", "localPort", "blockList"],
      ...["autoSelectFamilyAttemptTimeout", "noDelay", "keepAlive", "keepAliveInitialDelay", "onread"],
      ...["signal", "timeout", "readable", "writable", "highWaterMark", "readableHighWaterMark"],
      ...["writableHighWaterMark", "objectMode", "readableObjectMode", "writableObjectMode", "encoding"],
      ...["defaultEncoding", "decodeStrings", "read", "write", "writev", "destroy", "final", "construct"],
      ...["captureRejections", "manualStart", "pauseOnCreate", "pauseOnConnect", "session", "pskCallback"],
      ...["isServer", "server", "requestCert", "requestOCSP", "enableTrace", "ALPNCallback", "SNICallback"],
      ...["servername", "singleUse", "pskIdentityHint"],
    ].map((name) => [name, undefined]),
  );
  expect(Object.isFrozen(SOCKET_OPTIONS)).toBe(true);
});
