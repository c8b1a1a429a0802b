import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  BodyUsedError,
  ConnectionClosedError,
  DialError,
  HeaderLimitError,
  HttpError,
  IncompleteBodyError,
  InvariantError,
  LocalProtocolError,
  PoolTimeoutError,
  RemoteProtocolError,
  TimeoutError,
  TlsError,
  TransportClosedError,
} from "../lib/errors.ts";

const state = { waiting: 2, dialing: 0, busy: 1, idle: 0, oldestBusyMs: 12 };
const detail = { reason: "bare CR", offset: 7, excerpt: "\\r" };

/** One of each class, with what its own fields say. */
const all = [
  [new LocalProtocolError("url", "text"), "ERR_HTTP_LOCAL_PROTOCOL", { field: "url" }],
  [new RemoteProtocolError("text", detail), "ERR_HTTP_REMOTE_PROTOCOL", detail],
  [
    new HeaderLimitError("maxResponseHeaders", 5, "text", 9),
    "ERR_HTTP_HEADER_LIMIT",
    { option: "maxResponseHeaders", limit: 5, offset: 9 },
  ],
  [new IncompleteBodyError("text", 10, 4), "ERR_HTTP_INCOMPLETE_BODY", { expected: 10, received: 4, phase: "body" }],
  [new ConnectionClosedError("text"), "ERR_HTTP_CONNECTION_CLOSED", {}],
  [new DialError("text", []), "ERR_HTTP_DIAL", { attempts: [], safeToRetry: true }],
  [new TlsError("text"), "ERR_HTTP_TLS", { phase: "tls", safeToRetry: true }],
  [
    new TimeoutError("body", "bodyTimeout", 5, "text"),
    "ERR_HTTP_TIMEOUT",
    { phase: "body", option: "bodyTimeout", limit: 5 },
  ],
  [
    new PoolTimeoutError(5, "text", state),
    "ERR_HTTP_POOL_TIMEOUT",
    { ...state, phase: "pool", option: "poolTimeout", limit: 5, safeToRetry: true },
  ],
  [new TransportClosedError("text"), "ERR_HTTP_TRANSPORT_CLOSED", {}],
  [new BodyUsedError("text"), "ERR_HTTP_BODY_USED", {}],
  [new InvariantError("text"), "ERR_HTTP_INVARIANT", {}],
] as const;

describe.each(all)("%o", (error, code, fields) => {
  test("is an HttpError and an Error, named as its class, with a code of its own", () => {
    expect(error).toBeInstanceOf(HttpError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(error.constructor.name);
    expect(`${error}`).toBe(`${error.constructor.name}: text`);
    expect(error.code).toBe(code);
    expect(error).toMatchObject(fields);
  });

  test("shows the facts that it knows, and no others", () => {
    const shown = Object.keys(error);
    for (const name of ["origin", "attempt", "reused", "bytesSubmitted", "bytesAccepted", "bytesRead"]) {
      expect(shown).not.toContain(name);
    }
    expect(inspect(error)).not.toContain("undefined");
  });
});

test("a class that is a kind of another says so", () => {
  expect(new PoolTimeoutError(5, "text", state)).toBeInstanceOf(TimeoutError);
  expect(new HeaderLimitError("x", 5, "text", 9)).toBeInstanceOf(RemoteProtocolError);
});

describe("HttpError", () => {
  test("keeps the cause where there is one, undefined too, and has none otherwise", () => {
    const cause = new Error("below");
    expect(new ConnectionClosedError("text", { cause }).cause).toBe(cause);
    expect("cause" in new ConnectionClosedError("text")).toBe(false);
    expect("cause" in new ConnectionClosedError("text", { cause: undefined })).toBe(true);
  });

  test("addFacts() adds what an outer station knows, and never overwrites what an inner one said", () => {
    const error = new ConnectionClosedError("text", { phase: "write", bytesRead: 0, reused: false });
    expect(error.addFacts({ phase: "headers", bytesRead: 5, reused: true, attempt: 2, origin: "http://a" })).toBe(
      error,
    );
    expect(error).toMatchObject({ phase: "write", bytesRead: 0, reused: false, attempt: 2, origin: "http://a" });
    error.addFacts({ attempt: 3 });
    expect(error.attempt).toBe(2);
  });
});

test("inspect() of an error shows its facts and no secret of a URL, in its cause neither", () => {
  const cause = new Error("at http://user:pass@host/?sig=signed");
  const error = new ConnectionClosedError("Cannot send: http://user:pass@host/", { cause, bytesSubmitted: 3 });
  const shown = inspect(error);
  expect(shown).toMatch(/^ConnectionClosedError: Cannot send: http:\/\/\[hidden\]@host\/\n {4}at /);
  expect(shown).toContain("bytesSubmitted: 3");
  expect(shown).toContain("[cause]: Error: at http://[hidden]@host/?sig=[hidden]");
  expect(shown).not.toMatch(/user|pass|signed/);
});
