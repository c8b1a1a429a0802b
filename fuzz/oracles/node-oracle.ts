/**
 * node:http as an oracle, over streams in memory: its client reads responses, its server requests. It stands on llhttp as
 * we do, another version of it, so what it finds is above llhttp: what a head means, and where a message ends.
 */

import http from "node:http";
import { Duplex } from "node:stream";
import type { Oracle, Pairs, Reading, ReadMessage } from "./reading.ts";

const maxHeaderSize = 256 * 1024;

/** A connection that brings these bytes once somebody reads, then ends; what is written to it is dropped. */
class Wire extends Duplex {
  #bytes: Buffer | null;
  readonly #after: "write" | "read";
  #written = false;
  #asked = false;

  constructor(bytes: string, after: "write" | "read") {
    super({ allowHalfOpen: true });
    this.#bytes = Buffer.from(bytes, "latin1");
    this.#after = after;
  }
  override _read(): void {
    this.#asked = true;
    this.#bring();
  }
  override _write(_chunk: unknown, _encoding: BufferEncoding, done: () => void): void {
    this.#written = true;
    this.#bring();
    done();
  }
  // What node asks of a socket.
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  #bring(): void {
    if (!this.#asked || (this.#after === "write" && !this.#written) || this.#bytes === null) return;
    const bytes = this.#bytes;
    this.#bytes = null;
    if (bytes.length > 0) this.push(bytes);
    this.push(null);
  }
}

export function nodeOracle(): Oracle {
  return { name: "node", response, requests, close() {} };
}

function response(bytes: string, method: string): Promise<Reading> {
  const wire = new Wire(bytes, "write");
  const messages: ReadMessage[] = [];
  return new Promise((resolve) => {
    const done = (error: string) => {
      wire.destroy();
      resolve({ messages, error, rest: null });
    };
    const request = http.request({
      method,
      host: "a",
      path: "/",
      maxHeaderSize,
      // What node asks of a Socket here, Wire has.
      createConnection: () => wire as unknown as ReturnType<typeof import("node:net").connect>,
    });
    request.on("information", (info) => {
      const { statusCode, statusMessage, rawHeaders, httpVersionMinor } = info;
      messages.push(responseOf(statusCode, statusMessage, rawHeaders, httpVersionMinor));
    });
    request.on("upgrade", (res) => {
      messages.push(messageOf(res));
      done("");
    });
    request.on("response", (res) => {
      const at = messages.push(messageOf(res)) - 1;
      res.setEncoding("latin1");
      let body = "";
      res.on("data", (text: string) => {
        body += text;
      });
      const over = (error: string) => {
        messages[at] = { ...messageOf(res), body, trailers: pairsOf(res.rawTrailers) };
        done(error);
      };
      res.on("error", (error) => over(error.message));
      res.on("end", () => over(res.complete ? "" : "incomplete"));
    });
    request.on("error", (error) => done(error.message));
    request.end();
  });
}

function requests(bytes: string): Promise<Reading> {
  const wire = new Wire(bytes, "read");
  const messages: ReadMessage[] = [];
  return new Promise((resolve) => {
    let open = 0;
    let error: string | null = null;
    const settle = () => {
      if (open > 0 || error === null) return;
      wire.destroy();
      resolve({ messages, error, rest: null });
    };
    const take = (req: http.IncomingMessage, res: http.ServerResponse) => {
      const at = messages.push(messageOf(req)) - 1;
      open++;
      let body = "";
      req.setEncoding("latin1");
      req.on("data", (text: string) => {
        body += text;
      });
      let over = false;
      const finish = (why: string) => {
        if (over) return;
        over = true;
        messages[at] = { ...messageOf(req), body, trailers: pairsOf(req.rawTrailers) };
        open--;
        if (why !== "") error ??= why;
        res.end();
        settle();
      };
      req.on("end", () => finish(""));
      req.on("error", (reason) => finish(reason.message));
      req.on("close", () => finish(req.complete ? "" : "incomplete"));
    };
    const server = http.createServer({ maxHeaderSize }, take);
    server.on("checkContinue", take);
    for (const event of ["upgrade", "connect"]) {
      server.on(event, (req: http.IncomingMessage) => {
        messages.push(messageOf(req));
        error ??= "";
        settle();
      });
    }
    server.on("clientError", (reason) => {
      error ??= reason.message;
      settle();
    });
    wire.on("end", () => {
      // Behind what the parser still tells of the last bytes.
      setImmediate(() => {
        error ??= "";
        settle();
      });
    });
    wire.on("close", () => {
      error ??= "";
      settle();
    });
    server.emit("connection", wire);
  });
}

function messageOf(message: http.IncomingMessage): ReadMessage {
  const { statusCode = 0, statusMessage = "", rawHeaders, httpVersionMinor, method = "", url = "" } = message;
  const read = responseOf(statusCode ?? 0, statusMessage ?? "", rawHeaders, httpVersionMinor);
  return statusCode ? read : { ...read, method: method ?? "", target: url };
}

function responseOf(status: number, reason: string, rawHeaders: string[], minor: number): ReadMessage {
  return { status, reason, minor, method: "", target: "", fields: pairsOf(rawHeaders), body: "", trailers: [] };
}

function pairsOf(raw: string[]): Pairs {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!.toLowerCase(), raw[2 * i + 1]!] as const);
}
