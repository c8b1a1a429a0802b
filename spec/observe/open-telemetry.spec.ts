/** Spans and metrics, as the SDK's own exporters in memory get them, held against the semantic conventions. */

import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client } from "../../lib/index.ts";
import { type OpenTelemetry, openTelemetry, traceAll } from "../../lib/observe.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { someExchanges } from "./exchanges.ts";

checkLeaks();

const manager = new AsyncLocalStorageContextManager();
beforeAll(() => {
  context.setGlobalContextManager(manager.enable());
  propagation.setGlobalPropagator({
    inject(at, carrier, setter) {
      const span = trace.getSpanContext(at);
      if (span !== undefined) setter.set(carrier, "traceparent", `00-${span.traceId}-${span.spanId}-01`);
    },
    extract: (at) => at,
    fields: () => ["traceparent"],
  });
});
afterAll(() => {
  context.disable();
  propagation.disable();
});

async function observed() {
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const telemetry: OpenTelemetry = await openTelemetry({ tracerProvider, meterProvider });
  return {
    telemetry,
    tracer: tracerProvider.getTracer("spec"),
    spans: () => spans.getFinishedSpans(),
    async points() {
      await reader.forceFlush();
      const metrics =
        exporter
          .getMetrics()
          .at(-1)
          ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? [];
      return new Map(metrics.map(({ descriptor, dataPoints }) => [descriptor.name, { descriptor, dataPoints }]));
    },
    [Symbol.asyncDispose]: () => meterProvider.shutdown(),
  };
}

/** What the conventions require of a client span, whatever happened. */
function expectRequired({ attributes, kind, name }: ReadableSpan, port: number): void {
  expect(kind).toBe(SpanKind.CLIENT);
  expect(name).toBe(attributes["http.request.method"]);
  expect(attributes["server.address"]).toBe("127.0.0.1");
  expect(attributes["server.port"]).toBe(port);
  expect(attributes["url.full"]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//);
}

test("each request sent is a client span with the attributes that the conventions require", async () => {
  await using otel = await observed();
  await using peer = await someExchanges(otel.telemetry.trace);
  const spans = otel.spans();
  for (const span of spans) expectRequired(span, peer.port);
  const facts = spans.map(({ attributes, status }) => [
    attributes["http.response.status_code"],
    attributes["error.type"],
    attributes["http.request.resend_count"],
    status.code,
  ]);
  expect(facts).toEqual([
    [200, undefined, undefined, SpanStatusCode.UNSET],
    [302, undefined, undefined, SpanStatusCode.UNSET],
    [404, "404", 1, SpanStatusCode.ERROR],
    [undefined, "ERR_HTTP_CONNECTION_CLOSED", undefined, SpanStatusCode.ERROR],
  ]);
  expect(spans[0]?.attributes).toMatchObject({
    "network.peer.address": "127.0.0.1",
    "network.peer.port": peer.port,
    "network.protocol.version": "1.1",
    "persistconn.connection.reused": false,
  });
});

test("a retry is a span of its own, with its resend count", async () => {
  await using otel = await observed();
  const clock = new SteeredClock();
  await using peer = await scriptedPeer({ trace: otel.telemetry.trace, clock });
  const first = peer.client.get(peer.url());
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
  await (await first).bytes();
  clock.beforeTurn = () => {
    clock.beforeTurn = null;
    conn.reset();
  };
  const second = peer.client.request("PURGE", peer.url());
  const other = await peer.accept();
  await other.readHead();
  other.reply("HTTP/1.1 204 No Content\r\n\r\n");
  await (await second).bytes();
  const [, failed, again] = otel.spans();
  expect(failed?.attributes).toMatchObject({
    "error.type": "ERR_HTTP_CONNECTION_CLOSED",
    "http.request.method": "_OTHER",
  });
  expect(failed?.attributes["http.request.method_original"]).toBe("PURGE");
  expect(failed?.name).toBe("HTTP");
  expect(again?.attributes).toMatchObject({ "http.request.resend_count": 1, "http.response.status_code": 204 });
});

test("a span is the child of the caller's, and roundTripper() tells the server which it is", async () => {
  await using otel = await observed();
  await using peer = await scriptedPeer({ trace: traceAll(otel.telemetry.trace) });
  const client = new Client({ transport: otel.telemetry.roundTripper(peer.transport) });
  const parent = otel.tracer.startSpan("parent");
  const call = context.with(trace.setSpan(context.active(), parent), () =>
    client.post(peer.url(), { body: "x", headers: { traceparent: "old", "X-Mine": "1" } }),
  );
  const conn = await peer.accept();
  const head = await conn.readHead();
  conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  await (await call).bytes();
  const [span, ...others] = otel.spans();
  expect(others).toEqual([]);
  expect(span?.parentSpanContext?.spanId).toBe(parent.spanContext().spanId);
  const { traceId, spanId } = span!.spanContext();
  expect(head.match(/traceparent: .*/gi)).toEqual([`traceparent: 00-${traceId}-${spanId}-01`]);
  expect(head).toContain("X-Mine: 1");
});

test("roundTripper() ends its span where no transport took it", async () => {
  await using otel = await observed();
  const failing = { roundTrip: () => Promise.reject(new Error("no network")) };
  const client = new Client({ transport: otel.telemetry.roundTripper(failing) });
  await expect(client.get("http://127.0.0.1:1/")).rejects.toThrow("no network");
  expect(otel.spans()).toHaveLength(1);
});

test("the metrics of the conventions: durations in seconds, and gauges that come back to nothing", async () => {
  await using otel = await observed();
  const peer = await someExchanges(otel.telemetry.trace);
  const { port } = peer;
  await peer[Symbol.asyncDispose]();
  const points = await otel.points();
  const duration = points.get("http.client.request.duration");
  expect(duration?.descriptor).toMatchObject({ unit: "s" });
  expect(duration?.dataPoints[0]?.value).toMatchObject({
    buckets: { boundaries: expect.arrayContaining([0.005, 10]) },
  });
  expect(duration?.dataPoints.map(({ attributes }) => attributes)).toContainEqual({
    "http.request.method": "GET",
    "http.response.status_code": 404,
    "error.type": "404",
    "network.protocol.version": "1.1",
    "server.address": "127.0.0.1",
    "server.port": port,
  });
  for (const gauge of ["http.client.active_requests", "http.client.open_connections"]) {
    for (const { value } of points.get(gauge)?.dataPoints ?? [{ value: "none" }]) expect(value).toBe(0);
  }
  expect(points.get("http.client.connection.duration")?.dataPoints).toHaveLength(1);
});
