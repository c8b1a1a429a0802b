/**
 * What is used of `@opentelemetry/api`, as types of our own, and the loading of it. The package is an optional peer: it is
 * loaded when it is first asked for, and only then.
 */

export type Attributes = Record<string, string | number | boolean>;

export interface Span {
  setAttributes(attributes: Attributes): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  addEvent(name: string, attributes?: Attributes): unknown;
  end(): void;
}

interface Context {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): Context;
  deleteValue(key: symbol): Context;
}

export interface TracerProvider {
  getTracer(
    name: string,
    version?: string,
  ): { startSpan(name: string, options: { kind: number; attributes: Attributes }, context: Context): Span };
}

interface Counter {
  add(value: number, attributes?: Attributes): void;
}

interface Histogram {
  record(value: number, attributes?: Attributes): void;
}

interface Meter {
  createUpDownCounter(name: string, options: { description: string; unit: string }): Counter;
  createHistogram(
    name: string,
    options: { description: string; unit: string; advice: { explicitBucketBoundaries: number[] } },
  ): Histogram;
}

export interface MeterProvider {
  getMeter(name: string, version?: string): Meter;
}

export interface OpenTelemetryApi {
  readonly context: {
    active(): Context;
    with<T>(context: Context, fn: () => T): T;
  };
  readonly trace: TracerProvider & { setSpan(context: Context, span: Span): Context };
  readonly metrics: MeterProvider;
  readonly propagation: { inject(context: Context, carrier: Record<string, string>): void };
  readonly SpanKind: { readonly CLIENT: number };
  readonly SpanStatusCode: { readonly ERROR: number };
  createContextKey(description: string): symbol;
}

/** A variable: a literal would make the package a dependency to compilers and bundlers. */
const PACKAGE: string = "@opentelemetry/api";

/** @throws {Error} the package is missing, or another version than 1 */
export async function loadApi(): Promise<OpenTelemetryApi> {
  let loaded: unknown;
  try {
    loaded = await import(PACKAGE);
  } catch (cause) {
    const text = `Cannot observe with OpenTelemetry: it needs the package \`${PACKAGE}\`, which is not installed: npm install ${PACKAGE}`;
    throw new Error(text, { cause });
  }
  const api = loaded as Partial<OpenTelemetryApi>; // what is used of it is looked at
  if (typeof api.trace?.getTracer !== "function" || typeof api.metrics?.getMeter !== "function") {
    throw new Error(
      `Cannot observe with OpenTelemetry: \`${PACKAGE}\` has no tracers or no meters: version 1.3 or later is needed`,
    );
  }
  return api as OpenTelemetryApi; // as just seen
}
