/**
 * A recording and a replaying RoundTripper. The recorder stands around another RoundTripper and keeps what went by in a
 * cassette, which is plain JSON; the replayer answers from a cassette, and touches no network.
 *
 * A cassette holds whole bodies, so both read them whole: what streams for ever is not for them. Credentials are not
 * kept: the values of Authorization, Proxy-Authorization, Cookie and Set-Cookie are replaced, and `redact` adds to that.
 *
 * Never: answers a request that the cassette does not have. It fails, and says what came nearest.
 */

import { type ErrorFacts, HttpError } from "../errors.ts";
import type { Request } from "../message/request.ts";
import { Response } from "../message/response.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { checkNames } from "./scripted-peer.ts";

/** Bytes in JSON: as text where they are UTF-8 that comes out the same, else as base64. */
export type CassetteBody = { readonly text: string } | { readonly base64: string } | null;

export interface CassetteRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: CassetteBody;
}

export interface CassetteResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: CassetteBody;
  readonly trailers: readonly (readonly [string, string])[];
}

export interface CassetteEntry {
  readonly request: CassetteRequest;
  /** What was answered; or the name, code and text of what the round trip failed with. */
  readonly response?: CassetteResponse;
  readonly error?: { readonly name: string; readonly code: string | null; readonly message: string };
}

/** What is kept of some round trips: JSON. */
export interface Cassette {
  readonly version: 1;
  readonly entries: CassetteEntry[];
}

export interface RecorderOptions {
  /** Goes on with this one. Default: a new one. */
  readonly cassette?: Cassette | undefined;
  /** Whether the value of a field (lower-case name) is replaced. Those with credentials always are. */
  readonly redact?: ((name: string) => boolean) | undefined;
}

export interface Recorder extends RoundTripper {
  readonly cassette: Cassette;
}

const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie"]);
const REDACTED = "[redacted]";

/**
 * Records what `inner` does.
 *
 * @throws {TypeError} an option that does not exist
 * @example
 * const recording = recorder(transport);
 * await new Client({ transport: recording }).get("http://127.0.0.1:8080/things");
 * await writeFile("things.json", JSON.stringify(recording.cassette));
 */
export function recorder(inner: RoundTripper, options: RecorderOptions = {}): Recorder {
  checkNames(options, ["cassette", "redact"]);
  const { cassette = { version: 1, entries: [] }, redact = () => false } = options;
  return {
    cassette,
    async roundTrip(request, call) {
      const sent = await wholeBody(request);
      const asked = { ...described(request, redact), body: bodyOf(sent) };
      try {
        const response = await inner.roundTrip(sent === null ? request : request.with({ body: sent }), call);
        const bytes = await response.bytes();
        const { status, statusText } = response;
        const trailers = response.trailers?.raw ?? [];
        const headers = response.headers.raw;
        cassette.entries.push({
          request: asked,
          response: {
            status,
            statusText,
            headers: kept(headers, redact),
            body: response.body === null ? null : bodyOf(bytes),
            trailers: kept(trailers, redact),
          },
        });
        return new Response(response.body === null ? null : bytes, {
          status,
          statusText,
          headers,
          trailers,
          url: response.url || request.url,
          request,
        });
      } catch (error) {
        if (!isAborted(call)) cassette.entries.push({ request: asked, error: errorOf(error) });
        throw error;
      }
    },
  };
}

/** The cassette has no answer to a request. */
export class UnmatchedRequestError extends HttpError {
  override readonly name = "UnmatchedRequestError";
  readonly code = "ERR_HTTP_UNMATCHED_REQUEST";
  readonly request: CassetteRequest;
  /** What the nearest entry has instead, in words; null where there is none left. */
  readonly nearest: string | null;
  constructor(message: string, request: CassetteRequest, nearest: string | null, facts?: ErrorFacts) {
    super(message, facts);
    this.request = request;
    this.nearest = nearest;
  }
}

/** A round trip that failed when it was recorded fails again, with what is known of the first time. */
export class ReplayedError extends HttpError {
  override readonly name = "ReplayedError";
  readonly code: string;
  constructor({ name, code, message }: NonNullable<CassetteEntry["error"]>) {
    super(`${name}: ${message}`);
    this.code = code ?? "ERR_HTTP_REPLAYED";
  }
}

export interface ReplayerOptions {
  /**
   * Whether an entry answers a request. Default: method, URL and body are equal. Entries are asked in order, and each
   * answers once.
   */
  readonly match?: ((recorded: CassetteRequest, asked: CassetteRequest) => boolean) | undefined;
  /** Entries may answer again when all that match have been used; the last of them does. Default false. */
  readonly repeat?: boolean | undefined;
}

export interface Replayer extends RoundTripper {
  /** Entries that have answered nothing yet. */
  readonly unused: readonly CassetteEntry[];
}

/**
 * Answers from a cassette.
 *
 * @throws {TypeError} an option that does not exist, or a cassette of another version
 * @example
 * const client = new Client({ transport: replayer(JSON.parse(await readFile("things.json", "utf8"))) });
 */
export function replayer(cassette: Cassette, options: ReplayerOptions = {}): Replayer {
  checkNames(options, ["match", "repeat"]);
  if (cassette?.version !== 1 || !Array.isArray(cassette.entries)) {
    throw new TypeError("Cannot replay cassette: it is none of version 1");
  }
  const { match = same, repeat = false } = options;
  const used = new Set<CassetteEntry>();
  return {
    get unused() {
      return cassette.entries.filter((entry) => !used.has(entry));
    },
    async roundTrip(request, call) {
      if (call?.signal?.aborted) {
        request.body?.discard(call.signal.reason);
        throw call.signal.reason;
      }
      const asked: CassetteRequest = { ...described(request, () => false), body: bodyOf(await wholeBody(request)) };
      const all = cassette.entries.filter((entry) => match(entry.request, asked));
      const entry = all.find((one) => !used.has(one)) ?? (repeat ? all.at(-1) : undefined);
      if (entry === undefined) throw unmatched(asked, cassette, used);
      used.add(entry);
      if (entry.response === undefined) {
        throw new ReplayedError(entry.error ?? { name: "Error", code: null, message: "nothing was recorded" });
      }
      const { body, ...init } = entry.response;
      return new Response(body === null ? null : bytesOf(body), { ...init, url: request.url, request });
    },
  };
}

function same(recorded: CassetteRequest, asked: CassetteRequest): boolean {
  return differences(recorded, asked).length === 0;
}

/** What stands between a request and an entry, the worst first. */
function differences(recorded: CassetteRequest, asked: CassetteRequest): string[] {
  const found: string[] = [];
  if (recorded.method !== asked.method) found.push(`its method is ${recorded.method}`);
  if (recorded.url !== asked.url) found.push(`its URL is ${recorded.url}`);
  if (JSON.stringify(recorded.body) !== JSON.stringify(asked.body)) {
    found.push(`its body is ${shown(recorded.body)}, not ${shown(asked.body)}`);
  }
  return found;
}

function unmatched(
  asked: CassetteRequest,
  cassette: Cassette,
  used: ReadonlySet<CassetteEntry>,
): UnmatchedRequestError {
  let nearest: string | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  cassette.entries.forEach((entry, index) => {
    const found = differences(entry.request, asked);
    if (used.has(entry)) found.push("it has answered already");
    if (found.length >= fewest) return;
    fewest = found.length;
    nearest = `entry ${index}: ${found.join("; ")}`;
  });
  const rest = nearest === null ? "the cassette is empty" : `nearest is ${nearest}`;
  const text = `Cannot replay ${asked.method} ${asked.url}: no entry of ${cassette.entries.length} matches; ${rest}`;
  return new UnmatchedRequestError(text, asked, nearest);
}

function shown(body: CassetteBody): string {
  if (body === null) return "none";
  const text = "text" in body ? JSON.stringify(body.text) : `base64 ${body.base64}`;
  return text.length <= 60 ? text : `${text.slice(0, 60)}… (${bytesOf(body).length} bytes)`;
}

async function wholeBody(request: Request): Promise<Uint8Array | null> {
  const chunks = request.getBody();
  if (chunks === null) return null;
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

function described(request: Request, redact: (name: string) => boolean): Omit<CassetteRequest, "body"> {
  return { method: request.method, url: request.url, headers: kept(request.headers.raw, redact) };
}

function kept(
  pairs: Iterable<readonly [string, string]>,
  redact: (name: string) => boolean,
): readonly (readonly [string, string])[] {
  return Array.from(pairs, ([name, value]) => {
    const lower = name.toLowerCase();
    return [name, CREDENTIALS.has(lower) || redact(lower) ? REDACTED : value] as const;
  });
}

function bodyOf(bytes: Uint8Array | null): CassetteBody {
  if (bytes === null) return null;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = buffer.toString("utf8");
  return Buffer.from(text, "utf8").equals(buffer) ? { text } : { base64: buffer.toString("base64") };
}

function bytesOf(body: NonNullable<CassetteBody>): Uint8Array {
  return "text" in body ? Buffer.from(body.text, "utf8") : Buffer.from(body.base64, "base64");
}

function errorOf(error: unknown): NonNullable<CassetteEntry["error"]> {
  if (!(error instanceof Error)) return { name: "Error", code: null, message: String(error) };
  const { code } = error as { code?: unknown }; // looked at in the next line
  return { name: error.name, code: typeof code === "string" ? code : null, message: error.message };
}

function isAborted(call: RoundTripCall | undefined): boolean {
  return call?.signal?.aborted === true;
}
