/**
 * The live view's server: one page, its stream of changes and the stories of single calls, on 127.0.0.1 and nowhere else.
 * Lives from `listen()` to `close()`; keeps no process alive unless told to.
 *
 * Owns:  its listening socket, its connections (`SOCKETS_MAX`), for each transport that it shows a `Recent`.
 * Never: answers who does not know the token, or whose Host is another; waits for a reader: one that is slow gets the
 * newest state when it has taken the last; changes anything in what it shows.
 *
 * It reads heads by itself, and few of them: node:http may not be loaded here, since it loads undici.
 *
 * RFC 9112 §2.1, §9.6 (each connection serves one request); https://html.spec.whatwg.org/#server-sent-events
 */

import { randomBytes } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { detached } from "../../boundary.ts";
import { type Clock, type Deadline, systemClock } from "../../clock.ts";
import type { TransportView, Watched } from "../../watched.ts";
import { HEAD_MAX, judge } from "./gate.ts";
import { inspectorPage } from "./page.ts";
import { Recent, type RecentRow } from "./recent.ts";

/** Connections at once, browsers' spare ones among them; one more is closed. */
const SOCKETS_MAX = 32;
/** Of these, streams. */
const STREAMS_MAX = 16;
/** For a whole head. A browser's spare connection is closed, and made anew when it is wanted. */
const HEAD_TIMEOUT_MS = 10_000;
/** After this without taking what it was sent, a reader is given up. */
const STALL_TIMEOUT_MS = 60_000;
/** Changes are gathered for so long; without any, figures that only time changes are told so often. */
const GATHER_MS = 150;
const IDLE_MS = 2_000;
/** Entries of each list of a transport, and transports. */
const LIST_MAX = 100;
const TRANSPORTS_MAX = 32;

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};

/** On every answer: nothing of it is kept, framed, sniffed or read by another origin. */
const ALWAYS = [
  "Connection: close",
  "Cache-Control: no-store",
  "X-Content-Type-Options: nosniff",
  "X-Frame-Options: DENY",
  "Referrer-Policy: no-referrer",
  "Cross-Origin-Resource-Policy: same-origin",
  "Cross-Origin-Opener-Policy: same-origin",
];

interface Shown {
  readonly name: string;
  readonly watched: Watched;
  readonly recent: Recent;
  readonly forget: () => void;
}

/** What the page is told. Times are milliseconds. */
interface Told {
  readonly transports: readonly {
    readonly id: number;
    readonly name: string;
    readonly view: TransportView;
    /** Calls to show, and rows of those that changed. */
    readonly calls: readonly number[];
    readonly rows: readonly (Omit<RecentRow, "startedAt" | "endAt"> & { readonly ms: number })[];
  }[];
  readonly left: number;
}

interface ListenOptions {
  /** 0: one that the system chooses. */
  readonly port: number;
  readonly keepAlive: boolean;
  /** For its own time limits; those of real sockets, whatever clock a transport has. */
  readonly clock?: Clock;
}

/** A reader of the stream. */
class Stream {
  readonly #socket: Socket;
  /** What it has of each transport. */
  readonly #versions = new Map<number, number>();
  #stall: Deadline | null = null;
  readonly #clock: Clock;
  readonly #gone: () => void;
  /** It was passed over while it was busy. */
  missed = false;

  constructor(socket: Socket, clock: Clock, gone: () => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#gone = gone;
  }

  /** It has not taken the last one yet. */
  get busy(): boolean {
    return this.#socket.writableLength > 0;
  }

  versionOf(id: number): number {
    return this.#versions.get(id) ?? 0;
  }

  send(told: Told, versions: ReadonlyMap<number, number>, free: () => void): void {
    this.#versions.clear();
    for (const [id, version] of versions) this.#versions.set(id, version);
    this.#stall ??= this.#clock.deadline(0, () => this.end());
    this.#stall.reset(STALL_TIMEOUT_MS);
    this.#socket.write(`data: ${JSON.stringify(told)}\n\n`, () => {
      this.#stall?.reset(0);
      free();
    });
  }

  /** @param word what it hears last, where it has room */
  end(word = ""): void {
    if (word !== "" && !this.busy) this.#socket.write(word); // into the kernel at once, small as it is
    this.#stall?.cancel();
    this.#stall = null;
    this.#socket.destroy();
    this.#gone();
  }
}

export class InspectorServer {
  readonly url: string;
  readonly port: number;
  readonly #server: Server;
  readonly #token: string;
  readonly #keepAlive: boolean;
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();
  readonly #streams = new Set<Stream>();
  readonly #shown = new Map<number, Shown>();
  /** Fires when there is something to tell, or has been nothing for a while; stands only while somebody reads. */
  readonly #tick: Deadline;
  #gathering = false;
  #lastId = 0;
  #notShown = 0;
  #closing: Promise<void> | null = null;

  /** @throws (rejects) the system's error where the port cannot be had */
  static listen(options: ListenOptions): Promise<InspectorServer> {
    return detached(() => InspectorServer.#listen(options)); // it outlives the call that asked for it
  }

  static async #listen({ port, keepAlive, clock = systemClock }: ListenOptions): Promise<InspectorServer> {
    const server = createServer({ allowHalfOpen: false, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    return new InspectorServer(server, keepAlive, clock);
  }

  private constructor(server: Server, keepAlive: boolean, clock: Clock) {
    this.#clock = clock;
    this.#server = server;
    this.#keepAlive = keepAlive;
    this.#token = randomBytes(24).toString("base64url");
    this.port = (server.address() as AddressInfo).port; // it listens on TCP
    this.url = `http://127.0.0.1:${this.port}/${this.#token}/`;
    this.#tick = clock.deadline(0, () => this.#tell());
    if (!keepAlive) server.unref();
    server.on("connection", (socket) => this.#accept(socket));
    server.on("error", () => {}); // of accept: the next connection may work
  }

  /** Shows a transport until it is closed. */
  watch(watched: Watched, name?: string): void {
    if (this.#closing !== null) return;
    if (this.#shown.size >= TRANSPORTS_MAX) return void this.#notShown++;
    const id = ++this.#lastId;
    const recent = new Recent(() => this.#changed());
    const deaf = watched.listen(recent.hear);
    const unwatch = watched.whenClosed(() => this.#remove(id));
    const forget = () => {
      deaf();
      unwatch();
    };
    this.#shown.set(id, { name: (name ?? `transport ${id}`).slice(0, 100), watched, recent, forget });
    this.#changed();
  }

  /** Ends every stream and gives the port back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      for (const id of [...this.#shown.keys()]) this.#remove(id);
      this.#tick.cancel();
      for (const stream of [...this.#streams]) stream.end("event: end\ndata: 0\n\n");
      for (const socket of [...this.#sockets]) socket.destroy();
      this.#server.close(() => resolve());
    });
    return this.#closing;
  }

  #remove(id: number): void {
    this.#shown.get(id)?.forget();
    this.#shown.delete(id);
    this.#changed();
  }

  // ---- connections

  #accept(socket: Socket): void {
    if (this.#sockets.size >= SOCKETS_MAX || this.#closing !== null) return void socket.destroy();
    this.#sockets.add(socket);
    if (!this.#keepAlive) socket.unref();
    const late = this.#clock.deadline(HEAD_TIMEOUT_MS, () => socket.destroy());
    const done = () => {
      late.cancel();
      this.#sockets.delete(socket);
    };
    socket.on("close", done);
    socket.on("error", () => socket.destroy());
    let head = "";
    const read = (chunk: Buffer) => {
      head += chunk.toString("latin1", 0, HEAD_MAX + 1);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0 && head.length <= HEAD_MAX) return;
      // What comes behind a head is not read, and is no reason to keep it.
      socket.off("data", read);
      socket.resume();
      if (end < 0 || end + 4 > HEAD_MAX) return this.#refuse(socket, 431, "the head is too long");
      const verdict = judge(head.slice(0, end + 4), this.port, this.#token);
      if (verdict.status !== 200) return this.#refuse(socket, verdict.status, verdict.why);
      if (verdict.path === "/events") late.cancel();
      this.#answer(socket, verdict.path);
    };
    socket.on("data", read);
  }

  #answer(socket: Socket, path: string): void {
    if (path === "/") {
      const nonce = randomBytes(16).toString("base64");
      const policy = `Content-Security-Policy: default-src 'none'; connect-src 'self'; img-src data:; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
      return respond(socket, 200, "text/html; charset=utf-8", inspectorPage(nonce), [policy]);
    }
    if (path === "/events") return this.#open(socket);
    const [, id, call] = /^\/calls\/(\d{1,9})\/(\d{1,15})$/.exec(path) ?? [];
    if (call === undefined) return this.#refuse(socket, 404, "nothing is here");
    const story = this.#shown.get(Number(id))?.recent.story(Number(call)) ?? null; // null: not kept any more
    respond(socket, 200, "application/json", JSON.stringify(story));
  }

  #refuse(socket: Socket, status: number, why: string): void {
    respond(socket, status, "text/plain; charset=utf-8", `${why}\n`, status === 405 ? ["Allow: GET"] : []);
  }

  #open(socket: Socket): void {
    if (this.#streams.size >= STREAMS_MAX) return this.#refuse(socket, 503, "too many pages show this already");
    socket.write(head(200, ["Content-Type: text/event-stream; charset=utf-8"]));
    const stream = new Stream(socket, this.#clock, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    socket.on("close", () => stream.end());
    this.#gathering = false;
    this.#changed();
  }

  // ---- telling

  /** Something changed. Cheap: it is called for each event of each call. */
  #changed(): void {
    if (this.#gathering || this.#streams.size === 0) return;
    this.#gathering = true;
    this.#tick.reset(GATHER_MS);
  }

  #tell(): void {
    this.#gathering = false;
    if (this.#streams.size === 0) return;
    for (const stream of this.#streams) {
      stream.missed = stream.busy;
      if (stream.missed) continue; // it is told when it has taken the last
      const versions = new Map([...this.#shown].map(([id, { recent }]) => [id, recent.version]));
      stream.send(this.#told(stream), versions, () => {
        if (stream.missed && this.#closing === null) this.#changed();
      });
    }
    if (!this.#gathering) this.#tick.reset(IDLE_MS);
  }

  #told(stream: Stream): Told {
    const transports = [...this.#shown].map(([id, { name, watched, recent }]) => {
      const view = watched.view(LIST_MAX);
      const rows = recent.since(stream.versionOf(id)).map(({ startedAt, endAt, ...row }) => ({
        ...row,
        ms: Math.max(0, (endAt ?? view.at) - startedAt),
      }));
      return { id, name, view, calls: recent.calls, rows };
    });
    return { transports, left: this.#notShown };
  }
}

function head(status: number, fields: readonly string[]): string {
  return `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${[...fields, ...ALWAYS].join("\r\n")}\r\n\r\n`;
}

/** The whole answer, and the end of the connection. */
function respond(socket: Socket, status: number, type: string, text: string, fields: readonly string[] = []): void {
  const body = Buffer.from(text);
  socket.end(
    Buffer.concat([
      Buffer.from(head(status, [`Content-Type: ${type}`, `Content-Length: ${body.length}`, ...fields]), "latin1"),
      body,
    ]),
  );
}
