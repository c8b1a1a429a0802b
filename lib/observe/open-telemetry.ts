/**
 * Spans and metrics for OpenTelemetry, from the event stream: one client span for each time that a request is sent, so
 * one for each attempt and for each redirect. `trace` goes to a Transport, which then tells all its calls and connections;
 * `roundTripper()` stands around one where the trace is to go on at the server, since it puts `traceparent` into requests.
 *
 * Owns:  the spans that have not ended: each ends with its exchange, whose time limits are the transport's.
 * Never: puts a secret into an attribute; lets what a provider throws into a call.
 *
 * OpenTelemetry semantic conventions 1.37: HTTP spans, HTTP metrics.
 */

import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import { VERSION } from "../options.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { shownText } from "../secrets.ts";
import type { TraceEvent, TraceOption } from "../trace.ts";
import {
  type Attributes,
  loadApi,
  type MeterProvider,
  type OpenTelemetryApi,
  type Span,
  type TracerProvider,
} from "./otel-api.ts";
import { errorWords } from "./words.ts";

export interface OpenTelemetryOptions {
  /** Default: the global one. */
  tracerProvider?: TracerProvider;
  /** Default: the global one. */
  meterProvider?: MeterProvider;
}

/** Loads `@opentelemetry/api`. @throws (rejects) {Error} it is not installed */
export async function openTelemetry(options: OpenTelemetryOptions = {}): Promise<OpenTelemetry> {
  return new OpenTelemetry(await loadApi(), options);
}

/** Buckets in seconds, as the conventions have them. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const CONNECTION_SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];

/** Others are `_OTHER`: attackers could else make a time series of every word. */
const METHODS: ReadonlySet<string> = new Set("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE".split(" "));

/** A request that was sent, or is about to be. */
interface Sending {
  readonly span: Span;
  /** What the metrics have of it too. */
  readonly attributes: Attributes;
  readonly url: string;
  readonly method: string;
  readonly hop: number;
  startedAt: number;
}

/** A span that a round tripper has begun, for the transport that it leads to. */
interface Begun {
  readonly span: Span;
  taken: boolean;
}

interface Open {
  readonly openedAt: number;
  readonly attributes: Attributes;
  state: "active" | "idle";
}

export class OpenTelemetry {
  /** For the option `trace` of a Transport. */
  readonly trace: TraceOption;
  readonly #api: OpenTelemetryApi;
  readonly #tracer: ReturnType<TracerProvider["getTracer"]>;
  readonly #instruments: ReturnType<typeof instrumentsOf>;
  readonly #begunKey: symbol;
  readonly #sendings = new Map<number, Sending>();
  readonly #dials = new Map<number, Attributes>();
  readonly #open = new Map<number, Open>();

  /** @internal Made by `openTelemetry()`. */
  constructor(api: OpenTelemetryApi, options: OpenTelemetryOptions) {
    this.#api = api;
    this.#tracer = (options.tracerProvider ?? api.trace).getTracer("persistconn", VERSION);
    this.#instruments = instrumentsOf(options.meterProvider ?? api.metrics);
    this.#begunKey = api.createContextKey("persistconn request");
    this.trace = { groups: ["call", "pool", "dial", "connection"], on: (event) => this.#hear(event) };
  }

  /**
   * A round tripper that tells servers which span their work belongs to. The transport behind it has to have `trace`.
   * A request that goes again after a failure keeps the `traceparent` of its first attempt, since its head is written once.
   */
  roundTripper(inner: RoundTripper): RoundTripper {
    return { roundTrip: (request, call) => this.#roundTrip(inner, request, call) };
  }

  async #roundTrip(inner: RoundTripper, request: Request, call: RoundTripCall | undefined): Promise<Response> {
    const { context, trace, propagation } = this.#api;
    const attributes = requestAttributes(request.method, shownText(request.url), call?.hop ?? 0);
    const begun: Begun = { span: this.#startSpan(request.method, attributes), taken: false };
    const active = trace.setSpan(context.active(), begun.span);
    const carrier: Record<string, string> = {};
    propagation.inject(active, carrier);
    const names = new Set(Object.keys(carrier).map((name) => name.toLowerCase()));
    const fields = request.headers.raw.filter(([name]) => !names.has(name.toLowerCase()));
    const sent = request.with({ headers: [...fields, ...Object.entries(carrier)] });
    try {
      return await context.with(active.setValue(this.#begunKey, begun), () => inner.roundTrip(sent, call));
    } finally {
      if (!begun.taken) begun.span.end(); // answered by a cache, or refused before it was a call
    }
  }

  #hear(event: TraceEvent): void {
    if (event.call !== null) this.#ofCall(event, event.call);
    this.#ofConnection(event);
  }

  // ---- requests

  #ofCall(event: TraceEvent, call: number): void {
    if (event.type === "call-start") {
      const { method, url, hop } = event;
      const begun = this.#api.context.active().getValue(this.#begunKey) as Begun | undefined; // set under this key alone
      const mine = begun?.taken === false ? begun : null;
      if (mine !== null) mine.taken = true;
      return this.#send(call, { method, url, hop, resends: hop, startedAt: event.at }, mine?.span ?? null);
    }
    const sending = this.#sendings.get(call);
    if (sending === undefined) return;
    switch (event.type) {
      case "head":
        sending.attributes["http.response.status_code"] = event.status;
        sending.attributes["network.protocol.version"] = event.httpVersion;
        if (event.status >= 400) {
          sending.attributes["error.type"] = `${event.status}`;
          sending.span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
        }
        return;
      case "pool-assigned": {
        const peer = event.connection === null ? undefined : this.#open.get(event.connection)?.attributes;
        const address = peer?.["network.peer.address"];
        const port = peer?.["network.peer.port"];
        sending.span.setAttributes({
          "persistconn.connection.id": event.connection ?? 0,
          "persistconn.connection.reused": event.reused,
          ...(address === undefined ? {} : { "network.peer.address": address }),
          ...(port === undefined ? {} : { "network.peer.port": port }),
        });
        return;
      }
      case "retry": {
        sending.span.addEvent("retry", { reason: event.reason });
        this.#failed(sending, event.error);
        this.#ended(call, sending, event.at);
        const { method, url, hop } = sending;
        return this.#send(call, { method, url, hop, resends: hop + event.attempt, startedAt: event.at }, null);
      }
      case "call-failed":
      case "body-failed":
        this.#failed(sending, event.error);
        return this.#ended(call, sending, event.at);
      case "end":
      case "handed-over":
        return this.#ended(call, sending, event.at);
    }
  }

  #send(
    call: number,
    {
      method,
      url,
      hop,
      resends,
      startedAt,
    }: { method: string; url: string; hop: number; resends: number; startedAt: number },
    begun: Span | null,
  ): void {
    const all = requestAttributes(method, url, resends);
    const span = begun ?? this.#startSpan(method, all);
    const attributes: Attributes = {};
    for (const name of METRIC_ATTRIBUTES) {
      const value = all[name];
      if (value !== undefined) attributes[name] = value;
    }
    this.#instruments.active.add(1, attributes);
    this.#sendings.set(call, { span, attributes: { ...attributes }, url, method, hop, startedAt });
  }

  #startSpan(method: string, attributes: Attributes): Span {
    const name = METHODS.has(method) ? method : "HTTP";
    return this.#tracer.startSpan(name, { kind: this.#api.SpanKind.CLIENT, attributes }, this.#api.context.active());
  }

  #failed({ span, attributes }: Sending, error: unknown): void {
    attributes["error.type"] = errorType(error);
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: errorWords(error) });
  }

  #ended(call: number, sending: Sending, at: number): void {
    this.#sendings.delete(call);
    const { span, attributes, startedAt } = sending;
    span.setAttributes(attributes);
    span.end();
    this.#instruments.duration.record((at - startedAt) / 1000, attributes);
    const begun: Attributes = {};
    for (const name of METRIC_ATTRIBUTES) if (attributes[name] !== undefined) begun[name] = attributes[name];
    this.#instruments.active.add(-1, begun);
  }

  // ---- connections

  #ofConnection(event: TraceEvent): void {
    if (event.type === "dial-start" && event.call !== null) {
      this.#dials.set(event.call, { "server.address": event.host, "server.port": event.port });
      return;
    }
    if (event.type === "dial-failed" || event.type === "dial-abandoned") {
      if (event.call !== null) this.#dials.delete(event.call);
      return;
    }
    if (event.type === "dial-done" && event.call !== null) {
      const attributes = this.#dials.get(event.call) ?? {};
      this.#dials.delete(event.call);
      if (event.remoteAddress !== null) attributes["network.peer.address"] = event.remoteAddress;
      if (event.remotePort !== null) attributes["network.peer.port"] = event.remotePort;
      this.#open.set(event.id, { openedAt: event.at, attributes, state: "idle" });
      this.#instruments.connections.add(1, { ...attributes, "http.connection.state": "idle" });
    }
    const open = event.connection === null ? undefined : this.#open.get(event.connection);
    if (open === undefined || event.connection === null) return;
    if (event.type === "pool-assigned") this.#becomes(open, "active");
    else if (event.type === "connection-idle") this.#becomes(open, "idle");
    else if (event.type === "connection-closed") {
      this.#open.delete(event.connection);
      this.#instruments.connections.add(-1, { ...open.attributes, "http.connection.state": open.state });
      this.#instruments.lifetime.record((event.at - open.openedAt) / 1000, open.attributes);
    }
  }

  #becomes(open: Open, state: Open["state"]): void {
    if (open.state === state) return;
    const { connections } = this.#instruments;
    connections.add(-1, { ...open.attributes, "http.connection.state": open.state });
    connections.add(1, { ...open.attributes, "http.connection.state": state });
    open.state = state;
  }
}

/** What requests are told apart by in metrics, of what is known at their start. */
const METRIC_ATTRIBUTES = ["http.request.method", "server.address", "server.port"];

function instrumentsOf(provider: MeterProvider) {
  const meter = provider.getMeter("persistconn", VERSION);
  return {
    duration: meter.createHistogram("http.client.request.duration", {
      description: "Duration of HTTP client requests.",
      unit: "s",
      advice: { explicitBucketBoundaries: SECONDS },
    }),
    active: meter.createUpDownCounter("http.client.active_requests", {
      description: "Number of active HTTP requests.",
      unit: "{request}",
    }),
    connections: meter.createUpDownCounter("http.client.open_connections", {
      description: "Number of outbound HTTP connections that are currently active or idle on the client.",
      unit: "{connection}",
    }),
    lifetime: meter.createHistogram("http.client.connection.duration", {
      description: "The duration of the successfully established outbound HTTP connections.",
      unit: "s",
      advice: { explicitBucketBoundaries: CONNECTION_SECONDS },
    }),
  };
}

/** What is known of a request before it has a connection. `resends`: how often it went before. */
function requestAttributes(method: string, url: string, resends: number): Attributes {
  const attributes: Attributes = { "http.request.method": METHODS.has(method) ? method : "_OTHER", "url.full": url };
  if (!METHODS.has(method)) attributes["http.request.method_original"] = method;
  if (resends > 0) attributes["http.request.resend_count"] = resends;
  if (!URL.canParse(url)) return attributes;
  const { hostname, port, protocol } = new URL(url);
  attributes["server.address"] = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  attributes["server.port"] = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
  return attributes;
}

/** Few in number, as the conventions want it: a code where there is one, else a class. */
function errorType(error: unknown): string {
  if (!(error instanceof Error)) return "_OTHER";
  const { code } = error as { code?: unknown }; // an HttpError's, or a system error's
  return typeof code === "string" ? code : error.name;
}
