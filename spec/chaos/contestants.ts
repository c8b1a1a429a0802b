/**
 * The clients of a chaos run behind one face. Each is used as its own documentation uses it: a keep-alive pool on its
 * defaults, the limits of traffic.ts given by the options that it has for them, and its total by a signal where it has no
 * option for that. None retries: who asks may not be asked twice without knowing.
 */

import http from "node:http";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { Client, HttpError, Transport } from "../../lib/index.ts";
import { contentOf, type Job, type Limits, piecesOf, requestOf } from "./traffic.ts";

export const CONTESTANTS = ["persistconn", "undici", "node:http"] as const;
export type ContestantName = (typeof CONTESTANTS)[number];

export interface Answer {
  readonly status: number;
  readonly nonce: string | null;
  readonly received: string | null;
  readonly body: Uint8Array;
}

export interface Contestant {
  /** Settles with the whole answer, or rejects with what the client says. */
  send(job: Job): Promise<Answer>;
  close(): Promise<void>;
}

export function open(name: ContestantName, origin: string, limits: Limits): Contestant {
  if (name === "persistconn") return ours(origin, limits);
  return name === "undici" ? undici(origin, limits) : nodeHttp(origin, limits);
}

/** A short name of an error, the same for the same matter. */
export function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (of: unknown) => (of instanceof Error && "code" in of && typeof of.code === "string" ? of.code : null);
  if (!(error instanceof HttpError)) return code(error) ?? code(error.cause) ?? error.name;
  const cause = code(error.cause);
  return `${error.code}/${error.phase ?? "no phase"}${cause === null ? "" : ` (${cause})`}`;
}

/** Whether the error is of lib/errors.ts and says in which phase it came. */
export const isTyped = (error: unknown): boolean => error instanceof HttpError && error.phase !== undefined;

function ours(origin: string, limits: Limits): Contestant {
  const transport = new Transport({
    dialTimeout: limits.dial,
    responseHeaderTimeout: limits.headers,
    bodyTimeout: limits.body,
    writeTimeout: limits.body,
  });
  const client = new Client({ transport, timeout: limits.total });
  return {
    async send(job) {
      const { method, path } = requestOf(job);
      const content = job.kind === "get" ? undefined : contentOf(job.nonce, "up", job.up);
      const body = job.kind === "stream" && content !== undefined ? piecesOf(content) : content;
      const response = await client.request(method, origin + path, body === undefined ? {} : { body });
      const bytes = await response.bytes();
      const { headers, status } = response;
      return { status, nonce: headers.get("x-nonce"), received: headers.get("x-received"), body: bytes };
    },
    close: () => transport.close(),
  };
}

/** What is used of undici here. It is installed for the bench, in bench/, and nowhere else. */
interface Undici {
  readonly Agent: new (options: object) => { destroy(): Promise<void> };
  request(
    url: string,
    options: object,
  ): Promise<{
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly body: { arrayBuffer(): Promise<ArrayBuffer> };
  }>;
}

const fromBench = createRequire(new URL("../../bench/package.json", import.meta.url));

/** The version of undici in bench/; null where it is not installed there. */
export function undiciVersion(): string | null {
  try {
    return (fromBench("undici/package.json") as { version: string }).version; // npm wrote it, and it has one
  } catch {
    return null;
  }
}

function undici(origin: string, limits: Limits): Contestant {
  const { Agent, request } = fromBench("undici") as Undici; // the part of it that is declared above
  const dispatcher = new Agent({
    connect: { timeout: limits.dial },
    headersTimeout: limits.headers,
    bodyTimeout: limits.body,
  });
  const one = (value: string | string[] | undefined) => (typeof value === "string" ? value : null);
  return {
    async send(job) {
      const { method, path } = requestOf(job);
      const content = job.kind === "get" ? undefined : contentOf(job.nonce, "up", job.up);
      const body = job.kind === "stream" && content !== undefined ? Readable.from(piecesOf(content)) : content;
      const signal = AbortSignal.timeout(limits.total);
      const answer = await request(origin + path, { method, dispatcher, signal, body });
      const bytes = new Uint8Array(await answer.body.arrayBuffer());
      const { headers, statusCode } = answer;
      return { status: statusCode, nonce: one(headers["x-nonce"]), received: one(headers["x-received"]), body: bytes };
    },
    close: () => dispatcher.destroy(),
  };
}

function nodeHttp(origin: string, limits: Limits): Contestant {
  const agent = new http.Agent({ keepAlive: true });
  const one = (value: string | string[] | undefined) => (typeof value === "string" ? value : null);
  return {
    async send(job) {
      const { method, path } = requestOf(job);
      const signal = AbortSignal.timeout(limits.total);
      const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
        // Its only time limit is on a socket that is idle, connecting included.
        const request = http.request(origin + path, { method, agent, signal, timeout: limits.headers }, resolve);
        request.on("error", reject);
        request.on("timeout", () =>
          request.destroy(Object.assign(new Error("idle too long"), { code: "IDLE_TIMEOUT" })),
        );
        const content = contentOf(job.nonce, "up", job.up);
        if (job.kind === "stream") Readable.from(piecesOf(content)).on("error", reject).pipe(request);
        else request.end(job.kind === "post" ? content : undefined);
      });
      const body = await buffer(response);
      const { headers, statusCode = 0 } = response;
      return { status: statusCode, nonce: one(headers["x-nonce"]), received: one(headers["x-received"]), body };
    },
    async close() {
      agent.destroy();
    },
  };
}
