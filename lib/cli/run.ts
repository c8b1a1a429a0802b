/**
 * One run of the command line, from its words to its exit code. Lives as long as the process; owns one transport, one
 * output and the two streams' manners.
 *
 * stdout gets the answer and nothing else, byte for byte, as it comes. Everything told *about* it goes to stderr.
 *
 * Never: exits the process, or prints the credentials of a URL.
 */

import type { Readable, Writable } from "node:stream";
import type { Clock } from "../clock.ts";
import {
  type CallOptions,
  Client,
  environmentProxy,
  type Inspector,
  Request,
  type Response,
  Transport,
  type TransportOptions,
  unixDialer,
} from "../index.ts";
import { har, page, Recording, traceAll, traceEvents } from "../observe.ts";
import { VERSION } from "../options.ts";
import { type Options, parseArgs } from "./args.ts";
import { errorFacts } from "./events.ts";
import { type ExitKind, exitCode, exitKindOf } from "./exit-codes.ts";
import { type Glyphs, glyphsFor, printable } from "./format.ts";
import { helpText, USAGE } from "./help.ts";
import { headersOf, InputError, methodOf, readCertificates, readData } from "./input.ts";
import { runInspected } from "./inspect.ts";
import { renderLoad, runLoad } from "./load.ts";
import { LoadProgress } from "./load-progress.ts";
import { Output, OutputError } from "./output.ts";
import { Progress } from "./progress.ts";
import { targetOf, withoutCredentials } from "./target.ts";
import { renderTimeline } from "./timeline.ts";
import { ShowingRoundTripper, showEvents, statusLine } from "./verbose.ts";
import { renderWaterfall } from "./waterfall.ts";

/** What the process gives: its streams, its time, and whether it was interrupted. */
export interface Io {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborted by SIGINT. */
  readonly signal: AbortSignal;
}

/** A failure that the command line itself found, with its kind. */
class CliError extends Error {
  readonly kind: ExitKind;
  constructor(kind: ExitKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Runs one command line. Resolves with the exit code; never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // Nobody is left to be told that nobody listens.
  io.stderr.on("error", () => {});
  const parsed = parseArgs(argv);
  switch (parsed.kind) {
    case "usage":
      io.stderr.write(`persistconn: ${printable(parsed.message)}\nUsage: ${USAGE}; --help tells more\n`);
      return exitCode("usage");
    case "help":
      return await printed(helpText(), io);
    case "version":
      return await printed(`persistconn ${VERSION}\n`, io);
    case "run":
      if (parsed.options.command.length > 0) return await inspected(parsed.options, io);
      return await new Run(parsed.options, io).run();
  }
}

/** Text that is the whole answer. */
async function printed(text: string, io: Io): Promise<number> {
  const output = new Output(io.stdout, "stdout", false, () => {});
  try {
    await output.write(text);
    await output.close();
    return exitCode("ok");
  } catch (error) {
    io.stderr.write(`persistconn: ${(error as Error).message}\n`); // write and close throw OutputError alone
    return exitCode("output");
  }
}

async function inspected({ command, port }: Options, io: Io): Promise<number> {
  try {
    return await runInspected(command, port, io);
  } catch (error) {
    io.stderr.write(`persistconn: ${printable((error as Error).message)}\n`); // spawn fails with system errors
    return exitCode("usage");
  }
}

/** What the client writes by itself and cannot be told not to: HTTP/1.1 needs Host and a framing; Accept says nothing. */
const KEPT = ["host", "content-length", "transfer-encoding", "accept"];

class Run {
  readonly #options: Options;
  readonly #io: Io;
  readonly #glyphs: Glyphs;
  /** Ends what is under way: an interrupt, or a reader of stdout that went away. */
  readonly #stop = new AbortController();
  readonly #stdout: Output;
  #file: Output | null = null;
  /** What happened, where something is to be made of it at the end. */
  readonly #recording: Recording | null;

  constructor(options: Options, io: Io) {
    this.#options = options;
    this.#io = io;
    this.#glyphs = glyphsFor(io.env);
    const { waterfall, html, har, perfetto } = options;
    this.#recording = waterfall || [html, har, perfetto].some((path) => path !== null) ? new Recording() : null;
    const stop = () => this.#stop.abort(io.signal.reason);
    if (io.signal.aborted) stop();
    else io.signal.addEventListener("abort", stop, { once: true });
    this.#stdout = new Output(io.stdout, "stdout", false, () => this.#stop.abort(new Error("stdout was closed")));
  }

  async run(): Promise<number> {
    const code = await this.#send();
    try {
      await this.#tell();
      return code;
    } catch (error) {
      const failed = this.#failed(error);
      return code === exitCode("ok") ? failed : code;
    }
  }

  /** What was recorded, as it was asked for. */
  async #tell(): Promise<void> {
    const recording = this.#recording;
    if (recording === null) return;
    const { waterfall, html, har: archive, perfetto, urls } = this.#options;
    if (waterfall) this.#io.stderr.write(renderWaterfall(recording, columnsOf(this.#io.stderr), this.#glyphs));
    const title = `persistconn ${withoutCredentials(urls.join(" "))}`;
    if (html !== null) await written(html, page(recording, title));
    if (archive !== null) await written(archive, JSON.stringify(har(recording), null, 1));
    if (perfetto !== null) await written(perfetto, JSON.stringify(traceEvents(recording)));
  }

  async #send(): Promise<number> {
    let transport: Transport | null = null;
    try {
      const requests = await this.#requests();
      const options = await this.#transportOptions();
      transport = new Transport(options);
      const shown = this.#options.verbose ? new ShowingRoundTripper(transport, this.#io.stderr, options) : transport;
      const client = new Client({ transport: shown, timeout: this.#options.timeoutMs });
      if (this.#options.count !== null) return await this.#load(client, transport, requests[0]!, this.#options.count);
      return await this.#each(client, requests);
    } catch (error) {
      return this.#failed(error);
    } finally {
      this.#file?.abandon();
      // Nothing is wanted of it any more; close() would wait for an exchange that was left in the middle.
      await transport?.destroy();
    }
  }

  /** Several URLs: one that fails does not keep the others from being asked; the last failure gives the exit code. */
  async #each(client: Client, requests: readonly Request[]): Promise<number> {
    let code = exitCode("ok");
    for (const request of requests) {
      try {
        await this.#exchange(client, request);
      } catch (error) {
        code = this.#failed(error);
        if (this.#stop.signal.aborted || error instanceof OutputError) return code;
      }
    }
    try {
      await (this.#file ?? this.#stdout).close();
    } catch (error) {
      code = this.#failed(error);
    }
    return code;
  }

  async #exchange(client: Client, request: Request): Promise<void> {
    const { include, head, fail, silent } = this.#options;
    const response = await client.do(request, this.#call());
    if (fail && response.status >= 400) {
      await response.close();
      throw new CliError("httpStatus", `${request.method} ${request.url}: answered with status ${response.status}`);
    }
    const output = this.#output();
    if (include || head) await output.write(headText(response));
    const progress = this.#progress(response);
    let bytes = 0;
    try {
      for await (const chunk of response) {
        bytes += chunk.length;
        progress?.add(chunk.length);
        await output.write(chunk);
      }
    } finally {
      progress?.end();
    }
    if (!silent && !this.#options.waterfall && (this.#options.timeline || this.#io.stderr.isTTY))
      this.#drawTimeline(request, response, bytes);
  }

  async #load(client: Client, transport: Transport, request: Request, count: number): Promise<number> {
    const { concurrency, fail, inspect, silent } = this.#options;
    const send = async () => {
      const response = await client.do(request, this.#call());
      let bytes = 0;
      for await (const chunk of response) bytes += chunk.length;
      return { status: response.status, reused: response.connection?.reused ?? false, bytes };
    };
    const { stderr, clock } = this.#io;
    await using inspector = inspect ? await this.#serve(transport) : null;
    const columns = stderr.isTTY === true ? columnsOf(stderr) : null;
    const progress = silent ? null : new LoadProgress(stderr, clock, count, columns, this.#glyphs);
    const ended = (answered: boolean) => progress?.add(answered);
    const result = await runLoad(send, { count, concurrency, clock, signal: this.#stop.signal, ended });
    progress?.end();
    if (!this.#stdout.gone) {
      await this.#stdout.write(renderLoad(result, transport.stats().dialed, this.#glyphs));
      if (inspector === null) await this.#stdout.close();
    }
    const interrupted = this.#io.signal.aborted;
    if (inspector !== null && !this.#stop.signal.aborted) {
      if (!silent) stderr.write("persistconn: done; the page stays until Ctrl-C\n");
      await new Promise<void>((resolve) => {
        this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    if (inspector !== null && !this.#stdout.gone) await this.#stdout.close();
    if (interrupted && inspector === null) return exitCode("interrupted");
    if (result.firstFailure !== null) return exitCode(exitKindOf(result.firstFailure.error));
    const refused = fail && [...result.statuses.keys()].some((status) => status >= 400);
    return exitCode(refused ? "httpStatus" : "ok");
  }

  async #serve(transport: Transport): Promise<Inspector> {
    const inspector = await transport.serveInspector({ port: this.#options.port, keepAlive: true });
    this.#io.stderr.write(`persistconn: inspect it at ${inspector.url}\n`);
    return inspector;
  }

  async #requests(): Promise<Request[]> {
    const { urls, data, json } = this.#options;
    const targets = urls.map((text) => {
      const target = targetOf(text);
      if (target.ok) return target.url;
      throw new CliError(target.why === "bad-url" ? "badUrl" : "unsupportedScheme", target.message);
    });
    const { pairs, dropped } = headersOf(this.#options);
    const kept = KEPT.find((name) => dropped.has(name));
    if (kept !== undefined) throw new CliError("localProtocol", `Cannot leave out ${kept}: every request has it here`);
    const method = methodOf(this.#options);
    // Before stdin is read, which may take for ever: what is wrong with the flags can be said at once.
    const bare = targets.map((url) => new Request(url, { method, headers: pairs }));
    if (data.length === 0 && !json) return bare;
    const body = await readData(data, this.#io.stdin, this.#stop.signal);
    return bare.map((request) => request.with({ body }));
  }

  async #transportOptions(): Promise<TransportOptions> {
    const { compressed, insecure, cacert, unixSocket, proxy, verbose } = this.#options;
    const { dropped } = headersOf(this.#options);
    const options: TransportOptions = { decompress: compressed && !dropped.has("accept-encoding") };
    if (unixSocket !== null) options.dial = unixDialer(unixSocket);
    else if (proxy === null) options.proxy = environmentProxy(this.#io.env);
    else if (proxy !== "") options.proxy = proxy;
    const listeners = verbose ? [showEvents(this.#io.stderr)] : [];
    const { trace } = this.#recording ?? {};
    if (listeners.length > 0 || trace !== undefined) {
      options.trace = traceAll(...listeners, ...(trace === undefined ? [] : [trace]));
    }
    if (cacert !== null) options.tls = { ca: await readCa(cacert) };
    if (insecure) options.tls = { ...options.tls, rejectUnauthorized: false };
    if (dropped.has("user-agent")) options.userAgent = "";
    return options;
  }

  #call(): CallOptions {
    const { location, redirectsMax } = this.#options;
    if (!location) return { signal: this.#stop.signal, redirect: "manual" };
    return { signal: this.#stop.signal, ...(redirectsMax === null ? {} : { maxRedirects: redirectsMax }) };
  }

  /** The file is opened by the first answer, so that a failure before leaves an older one as it was. */
  #output(): Output {
    const { output } = this.#options;
    if (output === null || output === "-") return this.#stdout;
    this.#file ??= Output.file(output);
    return this.#file;
  }

  #progress(response: Response): Progress | null {
    const { stderr, stdout, clock } = this.#io;
    const toScreen = this.#file === null && stdout.isTTY === true;
    if (this.#options.silent || !stderr.isTTY || toScreen) return null;
    const length = response.headers.get("content-length");
    return new Progress(stderr, columnsOf(stderr), clock, length === null ? null : Number(length), this.#glyphs);
  }

  #drawTimeline(request: Request, response: Response, bytes: number): void {
    const { timings, connection, status, statusText } = response;
    const { method, url } = response.request ?? request; // after a redirect another one than was asked for
    if (timings === null) return;
    const { stderr, stdout } = this.#io;
    const broken = this.#file === null && stdout.isTTY === true && stderr.isTTY === true && !this.#stdout.atLineStart;
    const exchange = { method, url, status, statusText, bytes, timings, connection };
    stderr.write(`${broken ? "\n" : ""}${renderTimeline(exchange, columnsOf(stderr), this.#glyphs)}`);
  }

  /** Tells what went wrong, in one line and with -v in more, and gives its exit code. */
  #failed(error: unknown): number {
    if (this.#io.signal.aborted) {
      this.#io.stderr.write("persistconn: interrupted\n");
      return exitCode("interrupted");
    }
    // A reader that has seen enough is no failure: `| head` should end as quietly as it does with a file.
    if (this.#stdout.gone) return exitCode("ok");
    const message = error instanceof Error ? error.message : String(error);
    const lines = [`persistconn: ${printable(withoutCredentials(message))}`];
    if (this.#options.verbose) for (const fact of errorFacts(error)) lines.push(`  ${fact}`);
    this.#io.stderr.write(`${lines.join("\n")}\n`);
    return exitCode(kindOf(error));
  }
}

/** A file of its own, whole. */
async function written(path: string, text: string): Promise<void> {
  const output = Output.file(path);
  await output.write(text);
  await output.close();
}

/** A terminal that does not know its width says 0; what is no terminal says nothing. */
function columnsOf(stream: Io["stderr"]): number {
  return stream.columns || 80;
}

function kindOf(error: unknown): ExitKind {
  if (error instanceof CliError) return error.kind;
  if (error instanceof OutputError) return "output";
  if (error instanceof InputError) return "input";
  return exitKindOf(error);
}

async function readCa(path: string): Promise<Buffer> {
  try {
    return await readCertificates(path);
  } catch (error) {
    throw new CliError("caFile", (error as Error).message); // readCertificates throws InputError alone
  }
}

/** The head as it was received, but for its line ends: latin1, one char code for each byte. */
function headText(response: Response): Uint8Array {
  const lines = [statusLine(response)];
  for (const [name, value] of response.headers.raw) lines.push(`${name}: ${value}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}
