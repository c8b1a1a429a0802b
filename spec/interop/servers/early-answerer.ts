/**
 * A server that answers 413 while the upload still comes, and then ends the connection gracefully, at once, by a
 * reset, or not at all. It parses all that it reads strictly, and notes whatever does not belong where it stands.
 *
 * POST /up/N?after=BYTES&ending=drain|drop|reset|slow   413 once so many bytes of the body came; 200 after the whole
 * GET  /after/N                                       200
 * Each answer's body is `answer N` and some filling.
 */

import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import { portOf, programSettings, serveParent } from "../../support/child.ts";
import { answerBody, patternAt } from "../early-bytes.ts";

export interface EarlyAnswererSettings {
  readonly tls: { readonly cert: string; readonly key: string } | null;
}
export interface EarlyAnswererReady {
  readonly port: number;
}
export interface EarlyAnswererReport {
  readonly early: number;
  /** Uploads that arrived to their last byte, answered before or after it. */
  readonly whole: number;
  readonly gets: number;
  /** What was read where it does not belong. */
  readonly strays: readonly string[];
}

/** A slow reader stops for so long after each read. */
const SLOW_MS = 1;
/** A graceful end discards what still comes for so long at most. */
const DRAIN_MS = 1_000;
const TARGET = /^(?:POST \/up\/(\d+)\?after=(\d+)&ending=(drain|drop|reset|slow)|GET \/after\/(\d+)) HTTP\/1\.1$/;

type Ending = "drain" | "drop" | "reset" | "slow";

let report = { early: 0, whole: 0, gets: 0, strays: [] as string[] };

/** The upload under way: how it is framed, how far it came, and what is to be done about it. */
interface Upload {
  readonly n: string;
  readonly after: number;
  readonly ending: Ending;
  /** null: chunked. */
  readonly length: number | null;
  bytes: number;
  /** Of the chunk, its CRLF included; 0 before a chunk head. */
  chunkLeft: number;
  answered: boolean;
}

class Connection {
  readonly #stream: net.Socket;
  readonly #raw: net.Socket;
  #unread: Buffer = Buffer.alloc(0);
  #upload: Upload | null = null;
  /** After a stray byte, or an answer that ends the connection: nothing more is read into. */
  #deaf = false;

  constructor(stream: net.Socket, raw: net.Socket) {
    this.#stream = stream;
    this.#raw = raw;
    raw.setNoDelay(true);
    raw.on("error", () => {}); // resets are part of the game
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => {
      if (this.#deaf) return;
      this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
      while (!this.#deaf && (this.#upload === null ? this.#head() : this.#body(this.#upload)));
      if (this.#upload?.ending !== "slow" || !this.#upload.answered) return;
      stream.pause();
      setTimeout(() => stream.resume(), SLOW_MS);
    });
  }

  /** Reads one head. Returns whether it may be called again. */
  #head(): boolean {
    const end = this.#unread.indexOf("\r\n\r\n");
    if (end < 0) return this.#unread.length > 16_384 ? this.#stray("a head without an end") : false;
    const [line = "", ...fields] = this.#unread.toString("latin1", 0, end).split("\r\n");
    this.#unread = this.#unread.subarray(end + 4);
    const [, up, after, ending, get] = TARGET.exec(line) ?? [];
    const field = (name: string) => fields.find((f) => f.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1);
    if (field("host") === undefined) return this.#stray(line);
    if (get !== undefined) {
      report.gets++;
      this.#answer("200 OK", get);
      return true;
    }
    if (up === undefined) return this.#stray(line);
    const length = field("content-length");
    if (length === undefined && field("transfer-encoding")?.trim() !== "chunked")
      return this.#stray(`${line}, unframed`);
    this.#upload = {
      n: up,
      after: Number(after),
      ending: ending as Ending, // by TARGET
      length: length === undefined ? null : Number(length),
      bytes: 0,
      chunkLeft: 0,
      answered: false,
    };
    this.#answerEarly(this.#upload);
    return true;
  }

  /** Reads some of the body. Returns whether it may be called again. */
  #body(upload: Upload): boolean {
    if (upload.length !== null) {
      if (!this.#take(upload, Math.min(this.#unread.length, upload.length - upload.bytes))) return false;
      if (upload.bytes < upload.length) return false;
      return this.#whole(upload);
    }
    if (upload.chunkLeft === 0) {
      const end = this.#unread.indexOf("\r\n");
      if (end < 0) return this.#unread.length > 20 ? this.#stray("a chunk head without an end") : false;
      const head = this.#unread.toString("latin1", 0, end);
      if (!/^[0-9a-f]{1,8}$/i.test(head)) return this.#stray(`chunk head ${head}`);
      const size = Number.parseInt(head, 16);
      if (size === 0 && this.#unread.length < end + 4) return false;
      this.#unread = this.#unread.subarray(end + 2);
      if (size === 0) {
        this.#unread = this.#unread.subarray(2);
        return this.#whole(upload);
      }
      upload.chunkLeft = size + 2;
    }
    const data = Math.min(this.#unread.length, upload.chunkLeft - 2);
    if (data > 0) {
      upload.chunkLeft -= data;
      if (!this.#take(upload, data)) return false;
    }
    if (upload.chunkLeft > 2 || this.#unread.length < 2) return false;
    if (this.#unread.toString("latin1", 0, 2) !== "\r\n") return this.#stray("no CRLF after a chunk");
    this.#unread = this.#unread.subarray(2);
    upload.chunkLeft = 0;
    return true;
  }

  /** Takes bytes of the body, if they are what stands there. Returns whether reading goes on. */
  #take(upload: Upload, length: number): boolean {
    const bytes = this.#unread.subarray(0, length);
    if (!bytes.equals(patternAt(upload.bytes, length))) return this.#stray(`foreign bytes in the body of ${upload.n}`);
    this.#unread = this.#unread.subarray(length);
    upload.bytes += length;
    this.#answerEarly(upload);
    return !this.#deaf;
  }

  #whole(upload: Upload): boolean {
    report.whole++;
    this.#upload = null;
    if (!upload.answered) this.#answer("200 OK", upload.n);
    return true;
  }

  #answerEarly(upload: Upload): void {
    if (upload.answered || upload.bytes < upload.after) return;
    upload.answered = true;
    report.early++;
    const { ending } = upload;
    this.#deaf = ending !== "slow";
    this.#answer("413 Content Too Large", upload.n, () => {
      if (ending === "reset") this.#raw.resetAndDestroy();
      else if (ending === "drop") this.#stream.end(() => this.#raw.destroy());
      else if (ending === "drain") {
        this.#stream.end();
        setTimeout(() => this.#raw.destroy(), DRAIN_MS).unref();
      }
    });
  }

  /** `taken` is called when the kernel has the answer. */
  #answer(status: string, n: string, taken?: () => void): void {
    const body = answerBody(n);
    this.#stream.write(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n${body}`, taken);
  }

  /** Notes what does not belong here, and reads no more of it. */
  #stray(what: string): false {
    report.strays.push(what.slice(0, 80));
    this.#deaf = true;
    this.#stream.destroy();
    return false;
  }
}

const settings = programSettings<EarlyAnswererSettings>();
const secureContext =
  settings.tls === null
    ? null
    : tls.createSecureContext({ cert: readFileSync(settings.tls.cert), key: readFileSync(settings.tls.key) });

// The TLS layer is put on by hand, since a reset is an affair of the socket below it.
const server = net.createServer((raw) => {
  const stream = secureContext === null ? raw : new tls.TLSSocket(raw, { isServer: true, secureContext });
  new Connection(stream, raw);
});
server.listen(0, "127.0.0.1", () => {
  const ready: EarlyAnswererReady = { port: portOf(server) };
  serveParent(ready, (): EarlyAnswererReport => {
    const seen = report;
    report = { early: 0, whole: 0, gets: 0, strays: [] };
    return seen;
  });
});
