/** URLs as people type them, and nothing of their credentials on a screen. */

import { describe, expect, test } from "vitest";
import { errorFacts, eventLine } from "../../lib/cli/events.ts";
import { redacted, shownField, targetOf, withoutCredentials } from "../../lib/cli/target.ts";
import { DialError } from "../../lib/errors.ts";

describe("targetOf()", () => {
  test.each([
    ["http://a/x", "http://a/x"],
    ["HTTPS://a/", "HTTPS://a/"],
    ["example.org", "http://example.org"],
    ["localhost:8080/x?y", "http://localhost:8080/x?y"],
    ["[::1]:80/", "http://[::1]:80/"],
  ])("takes %j as %j", (text, url) => {
    expect(targetOf(text)).toEqual({ ok: true, url });
  });

  test.each([
    ["", "bad-url", "Cannot parse URL http://"],
    ["http://a:999999/", "bad-url", "Cannot parse URL http://a:999999/"],
    ["http://u:pa/ss@a:x/", "bad-url", "Cannot parse URL a:x/"],
    ["ftp://u:secret@a/", "unsupported-scheme", "Cannot send to ftp://a/: only http and https are spoken here"],
  ])("refuses %j", (text, why, message) => {
    expect(targetOf(text)).toEqual({ ok: false, why, message });
  });
});

test.each([
  ["http://u:p@a/x@y", "http://a/x@y"],
  ["http://u@a/", "http://a/"],
  ["http://u:p@ss@a/", "http://a/"],
  ["https:\\\\u:p@a/", "https:\\\\a/"],
  ["http://a/?q=u:p@b", "http://a/?q=u:p@b"],
])("redacted(%j) is %j", (url, shown) => {
  expect(redacted(url)).toBe(shown);
});

test("withoutCredentials() cleans every URL in a text", () => {
  expect(withoutCredentials("from http://u:p@a/x to 'https://v@b': no")).toBe("from http://a/x to 'https://b': no");
});

test("shownField() tells the scheme of an Authorization, not its secret", () => {
  expect(shownField("authorization", "Basic dTpw")).toBe("authorization: Basic (hidden)");
  expect(shownField("Proxy-Authorization", "token")).toBe("Proxy-Authorization: (hidden)");
  expect(shownField("Accept", "a/b")).toBe("Accept: a/b");
});

test("shownField() shows nothing of a cookie or a key, and no credentials of a URL in another field", () => {
  expect(shownField("Cookie", "a=b")).toBe("Cookie: (hidden)");
  expect(shownField("set-cookie", "a=b; Secure")).toBe("set-cookie: (hidden)");
  expect(shownField("X-Api-Key", "k")).toBe("X-Api-Key: (hidden)");
  expect(shownField("Location", "http://u:p@h/?sig=s")).toBe("Location: http://[hidden]@h/?sig=[hidden]");
});

const COMMON = { at: 12.5, call: 1, attempt: 1, connection: 3 };

test("eventLine() has time, connection, type and facts", () => {
  expect(eventLine({ ...COMMON, type: "tunnel-start", proxy: "http://p:1", target: "a:80" }, 10)).toBe(
    "*  2.50 ms #3 tunnel-start proxy=http://p:1 target=a:80",
  );
  expect(eventLine({ ...COMMON, connection: null, type: "dns-done", addresses: ["::1", "127.0.0.1"] }, 20)).toBe(
    "*  0.00 ms dns-done addresses=[::1, 127.0.0.1]",
  );
});

test("eventLine() shows neither credentials nor control bytes", () => {
  const line = eventLine({ ...COMMON, type: "tunnel-start", proxy: "http://u:p@a/", target: "b:80" }, 10);
  expect(line).toBe("*  2.50 ms #3 tunnel-start proxy=http://a/ target=b:80");
  expect(eventLine({ ...COMMON, type: "call-failed", error: new Error("a\nb") }, 10)).toBe(
    "*  2.50 ms #3 call-failed error=a\\x0ab",
  );
});

test("errorFacts() has the code first, the fields, and the cause with its own code", () => {
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const attempts = [{ address: "::1", port: 80, family: 6 as const, outcome: "ECONNREFUSED", ms: 1 }];
  expect(errorFacts(new DialError("x", attempts, { cause, phase: "connect", origin: "http://a:80" }))).toEqual([
    "code: ERR_HTTP_DIAL",
    "phase: connect",
    "origin: http://a:80",
    "safeToRetry: true",
    "attempts: [{address: ::1, port: 80, family: 6, outcome: ECONNREFUSED, ms: 1}]",
    "cause: connect ECONNREFUSED (ECONNREFUSED)",
  ]);
  expect(errorFacts("thrown")).toEqual([]);
});
