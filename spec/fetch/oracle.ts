/**
 * The standard's behaviour as a table: each row runs against `fetch` of ours and against the global one, the oracle, over
 * the same servers on loopback, and says what comes of it. Where the two differ the row has both outcomes, and why.
 *
 * An outcome is what the row's function gives; or, as text, what it rejects with. Texts of errors are everybody's own, but
 * for "fetch failed", which programs look for.
 */

import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, Transport } from "../../lib/index.ts";

type FetchFunction = typeof globalThis.fetch;

interface At {
  readonly fetch: FetchFunction;
  /** An origin, without a slash at its end; and another one. */
  readonly url: string;
  readonly other: string;
  /** Emits a path when a request for it has come, and `gone:` with it when its connection closed. */
  readonly events: EventEmitter;
}

type Run = (at: At) => unknown;

export type Row =
  | readonly [name: string, run: Run, gives: unknown]
  | readonly [name: string, run: Run, differs: Difference];

/** Both outcomes, and why ours is meant. */
class Difference {
  readonly ours: unknown;
  readonly global: unknown;
  readonly because: string;
  constructor(ours: unknown, global: unknown, because: string) {
    this.ours = ours;
    this.global = global;
    this.because = because;
  }
}

export function differs(ours: unknown, global: unknown, because: string): Difference {
  return new Difference(ours, global, because);
}

export const FAILED = "rejects TypeError: fetch failed";
export const REFUSED = "rejects TypeError";

/** What a test of aborts aborts with. */
export const REASON = { name: "the reason" };

/** What undici says changes with Node; the rows hold what that of Node 20 does. */
const ORACLE_IS_KNOWN = /^6\./.test(process.versions["undici"] ?? "");

export function table(title: string, rows: readonly Row[]): void {
  describe(title, () => {
    const servers: Server[] = [];
    const events = new EventEmitter();
    const transport = new Transport();
    const client = new Client({ transport });
    let origins: { url: string; other: string };
    beforeAll(async () => {
      const urls: string[] = [];
      for (let i = 0; i < 2; i++) {
        const server = createServer((req, res) => answer(req, res, events));
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        servers.push(server);
        urls.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      }
      origins = { url: urls[0] as string, other: urls[1] as string };
    });
    afterAll(async () => {
      await transport.close();
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    });

    test("no row is there twice", () => {
      expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
    });

    for (const [name, run, gives] of rows) {
      const title = gives instanceof Difference ? `${name} (differs: ${gives.because})` : name;
      test(title, async () => {
        const ours = await outcome(() => run({ fetch: client.fetch, events, ...origins }));
        const global = await outcome(() => run({ fetch: globalThis.fetch, events, ...origins }));
        if (!(gives instanceof Difference)) {
          expect(ours).toEqual(gives);
          if (ORACLE_IS_KNOWN) expect(global).toEqual(gives);
          return;
        }
        expect(ours).toEqual(gives.ours);
        if (ORACLE_IS_KNOWN) expect(global).toEqual(gives.global);
        expect(gives.ours).not.toEqual(gives.global);
      });
    }
  });
}

async function outcome(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return rejection(error);
  }
}

export function rejection(error: unknown): string {
  if (error === REASON) return "rejects the reason";
  if (!(error instanceof Error)) return `rejects ${String(error)}`;
  if (error instanceof TypeError && error.message === "fetch failed") return FAILED;
  return `rejects ${error.name}`;
}

/** What a promise rejects with, as the outcome says it; or what it gives. */
export function settled(promise: Promise<unknown>): Promise<unknown> {
  return outcome(() => promise);
}

// ---- the servers

interface Echo {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As they came. */
  readonly lines: readonly string[];
  readonly body: string;
}

export async function echoed(response: Promise<Response>): Promise<Echo> {
  return (await (await response).json()) as Echo;
}

function answer(req: IncomingMessage, res: ServerResponse, events: EventEmitter): void {
  const url = new URL(req.url as string, "http://server");
  const [, route = "", ...rest] = url.pathname.split("/");
  const query = url.searchParams;
  events.emit(url.pathname);
  res.once("close", () => events.emit(`gone:${url.pathname}`));
  const routes: Record<string, () => void> = {
    echo() {
      let body = "";
      req.setEncoding("latin1").on("data", (chunk) => {
        body += chunk;
        events.emit("chunk", chunk);
      });
      req.on("end", () => {
        const { method, headers, rawHeaders: lines } = req;
        res.end(JSON.stringify({ method, path: req.url, headers, lines, body }));
      });
    },
    status() {
      req.resume();
      res.writeHead(Number(rest[0]), query.get("reason") ?? "", { "x-status": "1" }).end(query.get("body") ?? "");
    },
    redirect() {
      req.resume();
      req.on("end", () => {
        const to = query.get("to");
        res.writeHead(Number(rest[0]), to === null ? {} : { location: to }).end("moved");
      });
    },
    count() {
      req.resume();
      const left = Number(rest[0]);
      if (left === 0) res.end("arrived");
      else res.writeHead(302, { location: `/count/${left - 1}` }).end();
    },
    text() {
      req.resume();
      res.setHeader("content-type", query.get("type") ?? "text/plain");
      res.end(Buffer.from(query.get("hex") ?? "68656c6c6f", "hex"));
    },
    fields() {
      res.writeHead(200, [
        ...["X-Twice", "1", "Set-Cookie", "a=1", "X-Twice", "2", "Set-Cookie", "b=2", "X-Blank", "  x  "],
        ...["X-Empty", "", "X-Latin", "caf\u00e9", "Content-Length", "2"],
      ]);
      res.end("ok");
    },
    gzip() {
      const content = gzipSync("zipped");
      res.writeHead(200, { "content-encoding": "gzip", "content-length": content.length }).end(content);
    },
    badgzip() {
      res.writeHead(200, { "content-encoding": "gzip" }).end("this is no gzip");
    },
    half() {
      res.writeHead(200, { "content-type": "text/plain" });
      res.write("half");
    },
    chunks() {
      res.writeHead(200);
      res.write("one,");
      res.write("two,");
      res.end("three");
    },
    never() {
      req.resume();
    },
    cut() {
      res.writeHead(200, { "content-length": 10 });
      res.write("cut", () => req.socket.destroy());
    },
    reset() {
      req.socket.destroy();
    },
    raw() {
      req.socket.end(Buffer.from(query.get("hex") ?? "", "hex"));
    },
    early() {
      res.writeHead(413, { "content-length": 5, connection: "close" }).end("early");
    },
    form() {
      const boundary = "b";
      const part = (name: string, more: string, value: string) =>
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
      res.setHeader("content-type", `multipart/form-data; boundary=${boundary}`);
      const file = part("f", '; filename="f.txt"\r\nContent-Type: text/plain', "file");
      res.end(`${part("a", "", "1")}${file}--${boundary}--\r\n`);
    },
  };
  (routes[route] ?? (() => res.writeHead(404).end()))();
}

/** A path whose answer is these bytes. */
export function raw(text: string): string {
  return `/raw/?hex=${Buffer.from(text, "latin1").toString("hex")}`;
}
