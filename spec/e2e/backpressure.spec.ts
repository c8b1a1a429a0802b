/**
 * A slow side slows the other down, through the kernel: what lies between a server and a reader who does not read, or
 * between a source and a server who does not, is bounded by the kernel's buffers and what is read ahead, however large
 * the body is.
 */

import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { describe, expect, test } from "vitest";
import type { Response } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { still, turns, until } from "../support/loop.ts";
import { QueueTap } from "../support/queue-tap.ts";
import { type PeerConn, type PeerOptions, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

const KIB = 1024;
const MIB = 1024 * KIB;
const BODY_BYTES = 48 * MIB;
/** What Linux buffers on loopback at most, both ways together, by its defaults. */
const KERNEL_BYTES_MAX = 16 * MIB;
/** Read ahead, and the one read that crosses that mark; TLS may have decrypted as much again. */
const BUFFERED_BYTES_MAX = { http: 128 * KIB, https: 192 * KIB };

const authority = new CertificateAuthority();
const leaf = authority.issue({ names: ["IP:127.0.0.1"] });
const optionsOf = (scheme: "http" | "https"): PeerOptions =>
  scheme === "https" ? { serverTls: leaf, tls: { ca: authority.cert } } : {};

/** Writes a body as fast as the kernel takes it. */
class Sender {
  readonly #socket: Socket;
  readonly #piece: string;
  #left: number;
  readonly #end: string;

  constructor(conn: PeerConn, framing: "length" | "chunked") {
    const size = 64 * KIB;
    const data = "x".repeat(size);
    this.#socket = conn.socket;
    this.#left = BODY_BYTES / size;
    this.#piece = framing === "length" ? data : `${size.toString(16)}\r\n${data}\r\n`;
    this.#end = framing === "length" ? "" : "0\r\n\r\n";
    const field = framing === "length" ? `Content-Length: ${BODY_BYTES}` : "Transfer-Encoding: chunked";
    conn.reply(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n`);
    this.#write();
  }

  /** What the kernel has taken. */
  get taken(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  #write(): void {
    while (this.#left > 0) {
      this.#left--;
      if (!this.#socket.write(this.#piece, "latin1")) {
        this.#socket.once("drain", () => this.#write());
        return;
      }
    }
    if (this.#left-- === 0) this.#socket.write(this.#end);
  }
}

describe.each(["http", "https"] as const)("a reader who does not read, over %s", (scheme) => {
  const readers: Record<string, (res: Response) => unknown> = {
    "nothing asked for": () => {},
    "one chunk taken": (res) => res[Symbol.asyncIterator]().next(),
    "one read of the web stream": (res) => res.body?.getReader().read(),
    "a Node stream that is not read": (res) => res.readable(),
    "a Node stream that is paused": (res) => {
      const stream = res.readable();
      stream.once("data", () => stream.pause());
    },
  };

  describe.each(["length", "chunked"] as const)("of a body framed by %s", (framing) => {
    test.each(Object.entries(readers))("%s: the server is stopped by the kernel", async (_, read) => {
      await using peer = await scriptedPeer(optionsOf(scheme));
      using tap = new QueueTap();
      const call = peer.client.get(peer.url());
      const conn = await peer.accept();
      await conn.readHead();
      const sender = new Sender(conn, framing);
      read(await call);
      const taken = await still(() => sender.taken);
      expect(taken).toBeLessThan(KERNEL_BYTES_MAX);
      expect(tap.body.pushed).toBeGreaterThan(0);
      expect(tap.body.peakBytes).toBeLessThanOrEqual(BUFFERED_BYTES_MAX[scheme]);
    });

    test("who takes a chunk now and then gets all of it, and no more is buffered at any time", async () => {
      await using peer = await scriptedPeer(optionsOf(scheme));
      using tap = new QueueTap();
      const call = peer.client.get(peer.url());
      const conn = await peer.accept();
      await conn.readHead();
      new Sender(conn, framing);
      let bytes = 0;
      let chunks = 0;
      for await (const chunk of await call) {
        bytes += chunk.length;
        if (++chunks % 100 === 0) await turns(5);
      }
      expect(bytes).toBe(BODY_BYTES);
      expect(tap.body.peakBytes).toBeLessThanOrEqual(BUFFERED_BYTES_MAX[scheme]);
      expect(peer.transport.stats()).toMatchObject({ idle: 1, busy: 0 });
    });
  });

  test("holds up nobody else: other requests go on over connections of their own", async () => {
    await using peer = await scriptedPeer(optionsOf(scheme));
    const slow = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    const sender = new Sender(conn, "length");
    await slow;
    await still(() => sender.taken);
    let other: PeerConn | null = null;
    for (let i = 0; i < 5; i++) {
      const call = peer.client.get(peer.url());
      other ??= await peer.accept();
      await other.readHead();
      other.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      expect(await (await call).text()).toBe("ok");
    }
    expect(peer.transport.stats().dialed).toBe(2);
  });
});

describe.each(["http", "https"] as const)("a server that does not read, over %s", (scheme) => {
  const SLICE_BYTES = 64 * KIB;

  /** Starts an upload to a server that reads its head and then nothing; gives the client's socket. */
  async function uploading(peer: ScriptedPeer, sockets: Socket[], body: unknown): Promise<[PeerConn, Socket]> {
    peer.client.post(peer.url(), { body: body as Upload }).catch(() => {}); // ends with the peer
    const conn = await peer.accept();
    conn.socket.pause();
    return [conn, sockets[0] as Socket];
  }

  /** Reads on, and keeps nothing. */
  function readOn({ socket }: PeerConn): void {
    socket.removeAllListeners("data");
    socket.on("data", () => {});
    socket.resume();
  }

  function watched(): [PeerOptions, Socket[]] {
    const sockets: Socket[] = [];
    const dial: PeerOptions["dial"] = ({ host, port, onread }) => {
      const socket = connect({ host, port, onread, allowHalfOpen: true });
      sockets.push(socket);
      return socket;
    };
    return [{ ...optionsOf(scheme), dial }, sockets];
  }

  test.each([1_000, 16 * KIB, SLICE_BYTES, MIB])(
    "a source of chunks of %i bytes is never asked for a chunk before the kernel has the one before it",
    async (size) => {
      const [options, sockets] = watched();
      await using peer = await scriptedPeer(options);
      const upload = new Upload(size);
      const [conn, socket] = await uploading(peer, sockets, upload);
      await still(() => upload.bytes);
      expect(upload.bytes).toBeLessThan(KERNEL_BYTES_MAX);
      const taken = socket.bytesWritten - socket.writableLength;
      if (scheme === "http") expect(upload.bytes - taken).toBeLessThanOrEqual(size);
      expect(socket.writableLength).toBeLessThanOrEqual(SLICE_BYTES + 2 * KIB);

      const before = upload.bytes;
      readOn(conn);
      await until(() => upload.bytes > before + 20 * size, "it goes on");
    },
  );

  test("a body in memory is handed over in slices, so that its rest is not buffered a second time", async () => {
    const [options, sockets] = watched();
    await using peer = await scriptedPeer(options);
    const [conn, socket] = await uploading(peer, sockets, new Uint8Array(BODY_BYTES));
    await still(() => socket.bytesWritten);
    expect(socket.bytesWritten).toBeLessThan(KERNEL_BYTES_MAX);
    expect(socket.writableLength).toBeLessThanOrEqual(SLICE_BYTES + 2 * KIB);
    readOn(conn);
    await until(() => socket.bytesWritten > BODY_BYTES, "all of it is written");
  });

  test("web and Node streams are pulled no faster", async () => {
    let pulled = 0;
    const web = () =>
      new ReadableStream(
        {
          pull(controller) {
            pulled += 16 * KIB;
            controller.enqueue(new Uint8Array(16 * KIB));
          },
        },
        { highWaterMark: 0 },
      );
    const node = () =>
      new Readable({
        highWaterMark: 16 * KIB,
        read() {
          pulled += 16 * KIB;
          this.push(Buffer.alloc(16 * KIB));
        },
      });
    for (const make of [web, node]) {
      pulled = 0;
      const [options, sockets] = watched();
      await using peer = await scriptedPeer(options);
      const [, socket] = await uploading(peer, sockets, make());
      await still(() => pulled);
      const taken = socket.bytesWritten - socket.writableLength;
      expect(pulled).toBeLessThan(KERNEL_BYTES_MAX);
      if (scheme === "http") expect(pulled - taken).toBeLessThanOrEqual(SLICE_BYTES);
    }
  });
});
