import { describe, expect, test } from "vitest";
import { CALL_TIME_LIMITS, checkCall, checkOption, resolveOptions, timeLimitsOf, VERSION } from "../lib/options.ts";
import { polluted } from "./support/polluted.ts";

describe("resolveOptions()", () => {
  test("gives defaults that are for production", () => {
    expect(resolveOptions({})).toMatchObject({
      dialTimeout: 10_000,
      tlsHandshakeTimeout: 10_000,
      responseHeaderTimeout: 300_000,
      bodyTimeout: 300_000,
      writeTimeout: 60_000,
      unreadBodyTimeout: 60_000,
      stalledReaderTimeout: 600_000,
      poolTimeout: 30_000,
      expectContinueTimeout: 1_000,
      maxConnsPerHost: 0,
      maxIdleConnsPerHost: 256,
      maxIdleConns: 1_024,
      idleConnTimeout: 90_000,
      keepAlive: true,
      maxResponseHeaderBytes: 262_144,
      maxResponseHeaders: 1_000,
      max1xxResponses: 32,
      tcpKeepAlive: 30_000,
      noDelay: true,
      replay: "nothing-written",
      decompress: true,
      requireFraming: false,
      userAgent: `persistconn/${VERSION}`,
    });
  });

  test("takes what is given, 0 and false too, and undefined as not given", () => {
    const given = { dialTimeout: 0, maxConnsPerHost: 7, keepAlive: false, userAgent: "", idleConnTimeout: 0.5 };
    expect(resolveOptions({ ...given, bodyTimeout: undefined } as object)).toMatchObject({
      ...given,
      bodyTimeout: 300_000,
    });
  });

  test("does not keep the caller's object", () => {
    const given = { maxConnsPerHost: 1 };
    const resolved = resolveOptions(given);
    given.maxConnsPerHost = 2;
    expect(resolved.maxConnsPerHost).toBe(1);
  });

  test("refuses a name that nobody knows, with the nearest one", () => {
    expect(() => resolveOptions({ maxConnPerHost: 1 } as object)).toThrow(
      new TypeError('Unknown option "maxConnPerHost": did you mean maxConnsPerHost?'),
    );
    expect(() => resolveOptions({ agent: {} } as object)).toThrow(/^Unknown option "agent": /);
    expect(() => resolveOptions({ ["__proto__"]: 1, constructor: 1 } as object)).toThrow(/Unknown option/);
  });

  test("never shows the value that it refuses: it may be a secret", () => {
    for (const name of ["userAgent", "tls", "dialTimeout", "trace"]) {
      try {
        resolveOptions({ [name]: name === "userAgent" ? { s3cret: 1 } : "s3cret" } as object);
        throw new Error("not refused");
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
        expect((error as Error).message).not.toContain("s3cret");
      }
    }
  });

  test("reads nothing that a prototype brings along", () => {
    const resolved = polluted({ dial: () => {}, dialTls: () => {}, tls: {}, trace: () => {}, bodyTimeout: 1 }, () => {
      const { dial, dialTls, tls, trace, bodyTimeout } = resolveOptions({});
      return { dial, dialTls, tls, trace, bodyTimeout };
    });
    expect(resolved).toEqual({
      dial: undefined,
      dialTls: undefined,
      tls: undefined,
      trace: undefined,
      bodyTimeout: 300_000,
    });
  });
});

describe("timeLimitsOf()", () => {
  const options = resolveOptions({ bodyTimeout: 5 });

  test("gives the transport's limits, and the call's own in their place", () => {
    expect(timeLimitsOf(options, {})).toMatchObject({ bodyTimeout: 5, writeTimeout: 60_000 });
    expect(timeLimitsOf(options, { bodyTimeout: 0, poolTimeout: 7 })).toMatchObject({
      bodyTimeout: 0,
      poolTimeout: 7,
      writeTimeout: 60_000,
    });
  });

  test("reads nothing that a prototype brings along", () => {
    expect(polluted({ writeTimeout: 1 }, () => timeLimitsOf(options, {}).writeTimeout)).toBe(60_000);
  });
});

describe("checkCall()", () => {
  const known = ["signal", "timeout", "trace", "onInformation", ...CALL_TIME_LIMITS];

  test("passes what can be meant", () => {
    const { signal } = new AbortController();
    expect(() =>
      checkCall({ signal, timeout: 0, bodyTimeout: 1.5, trace: () => {}, onInformation: () => {} }, known),
    ).not.toThrow();
    expect(() => checkCall({ signal: null, timeout: undefined }, known)).not.toThrow();
    expect(() => checkCall({ trace: { groups: ["call", "body"], on() {} } }, known)).not.toThrow();
  });

  test("takes a signal by its shape: those of other realms and of polyfills are as good", () => {
    const signal = { aborted: false, reason: undefined, addEventListener() {}, removeEventListener() {} };
    expect(() => checkCall({ signal }, known)).not.toThrow();
  });

  test("looks at what the caller owns only", () => {
    expect(() => polluted({ timeout: -1, whatever: 1 }, () => checkCall({}, known))).not.toThrow();
  });
});

describe("checkOption()", () => {
  test.each([
    ["duration", [0, 0.25, 1e9, Number.MAX_SAFE_INTEGER], [-1, Number.NaN, Number.POSITIVE_INFINITY, "1", null, 1n]],
    ["count", [0, 1, Number.MAX_SAFE_INTEGER], [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1", null]],
    ["boolean", [true, false], [0, "", null]],
    ["string", ["", "x"], [0, null, {}]],
    ["function", [() => {}, class {}], [{}, null]],
    ["object", [{}, []], ["x", null, 5]],
    ["replay", ["nothing-written", "replayable"], ["", true, null]],
  ] as const)("%s", (kind, good, bad) => {
    for (const value of good) expect(() => checkOption("some", kind, value)).not.toThrow();
    for (const value of bad) expect(() => checkOption("some", kind, value)).toThrow(/^Option some must be /);
  });
});
