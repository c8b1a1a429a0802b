/** The public names of `persistconn/observe`; nothing is defined here. */

export type { RequestMessage } from "./channels.ts";
export { type Bar, type BarKind, barsOf } from "./observe/bars.ts";
export { type Har, type HarEntry, har } from "./observe/har.ts";
export { type OpenTelemetry, type OpenTelemetryOptions, openTelemetry } from "./observe/open-telemetry.ts";
export type { MeterProvider, TracerProvider } from "./observe/otel-api.ts";
export { page, reasonsOf } from "./observe/page.ts";
export { PROMETHEUS_TYPE, prometheusText } from "./observe/prometheus.ts";
export {
  type RecordedAttempt,
  type RecordedConnection,
  Recording,
  type RecordingOptions,
} from "./observe/recording.ts";
export { traceAll } from "./observe/trace-all.ts";
export { type TraceFile, type TraceFileEvent, traceEvents } from "./observe/trace-events.ts";
export { CLOSE_WORDS, errorWords, explain, subjectOf } from "./observe/words.ts";
