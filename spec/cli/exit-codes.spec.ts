/** One number per kind of failure: curl's, where curl has one. */

import { describe, expect, test } from "vitest";
import { EXIT_CODES, exitCode, exitKindOf } from "../../lib/cli/exit-codes.ts";
import * as errors from "../../lib/errors.ts";

const remote = { reason: "bare CR", offset: 3, excerpt: "" };
const coded = (code: string) => Object.assign(new Error(code), { code });

describe("exitKindOf()", () => {
  const cases: [string, unknown, number][] = [
    ["a bad URL", new errors.LocalProtocolError("url", "x"), 3],
    ["a bad header", new errors.LocalProtocolError("header x", "x"), 43],
    ["a name that does not resolve", new errors.DialError("x", [], { phase: "dns" }), 6],
    ["a proxy's name that does not resolve", new errors.DialError("x", [], { phase: "dns", proxy: "http://p:1" }), 5],
    ["a proxy that refuses", new errors.ProxyError("x", null), 97],
    ["a refused connection", new errors.DialError("x", [], { phase: "connect" }), 7],
    ["a broken answer", new errors.RemoteProtocolError("x", remote), 8],
    ["a head over the limit", new errors.HeaderLimitError("maxResponseHeaderBytes", 1, "x", 0), 100],
    ["a truncated body", new errors.IncompleteBodyError("x", 5, 3), 18],
    ["a time limit", new errors.TimeoutError("headers", "timeout", 5, "x"), 28],
    [
      "a time limit of the pool",
      new errors.PoolTimeoutError(5, "x", { waiting: 1, dialing: 0, busy: 1, idle: 0, oldestBusyMs: 1 }),
      28,
    ],
    ["the platform's time limit", Object.assign(new Error("x"), { name: "TimeoutError" }), 28],
    ["a redirect of a loop", new errors.TooManyRedirectsError(10, "x", { status: 302, url: "u", location: "u" }), 47],
    ["a redirect to nowhere", new errors.RedirectError("x", { status: 302, url: "u", location: null }), 47],
    ["a handshake that failed", new errors.TlsError("x", { cause: coded("ERR_SSL_WRONG_VERSION_NUMBER") }), 35],
    ["a certificate nobody signed", new errors.TlsError("x", { cause: coded("DEPTH_ZERO_SELF_SIGNED_CERT") }), 60],
    ["a certificate of another name", new errors.TlsError("x", { cause: coded("ERR_TLS_CERT_ALTNAME_INVALID") }), 60],
    ["a certificate that ended", new errors.TlsError("x", { cause: coded("CERT_HAS_EXPIRED") }), 60],
    ["a chain with a hole", new errors.TlsError("x", { cause: coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE") }), 60],
    ["nothing came", new errors.ConnectionClosedError("x", { phase: "headers", bytesRead: 0 }), 52],
    ["nothing came, nothing said", new errors.ConnectionClosedError("x"), 52],
    ["a write broke", new errors.ConnectionClosedError("x", { phase: "write", bytesRead: 0 }), 55],
    ["half a head came", new errors.ConnectionClosedError("x", { phase: "headers", bytesRead: 17 }), 56],
    ["our own mistake", new errors.InvariantError("x"), 90],
    ["what nobody foresaw", new Error("x"), 90],
    ["what is no error", undefined, 90],
  ];
  test.each(cases)("tells %s", (_, error, code) => {
    expect(exitCode(exitKindOf(error))).toBe(code);
  });

  test("knows the code of every public error class", () => {
    const codes = Object.values(errors)
      .filter(
        (value): value is typeof errors.TlsError =>
          typeof value === "function" && value.prototype instanceof errors.HttpError,
      )
      // Only the field's initialiser knows the code: the constructor's arguments do not matter to it.
      .map((Class) => new (Class as unknown as new (...args: unknown[]) => errors.HttpError)("x", {}, {}, {}));
    expect(codes.length).toBeGreaterThan(10);
    for (const error of codes) {
      if (error instanceof errors.InvariantError || error instanceof errors.TransportClosedError) continue;
      expect([error.code, exitKindOf(error)]).not.toEqual([error.code, "bug"]);
    }
  });
});

test("EXIT_CODES gives no number twice, and none that a shell keeps for itself", () => {
  const numbers = Object.values(EXIT_CODES).map(([code]) => code);
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const number of numbers) expect(number === 130 || (number >= 0 && number < 126)).toBe(true);
});
