/** The grammar of what goes out, as tables: what is in each rule, and what is not. */

import { describe, expect, test } from "vitest";
import { isAuthorityForm, isFieldValue, isHost, isRequestTarget, isToken, tokenList } from "../../lib/wire/abnf.ts";

/** The char codes that a rule lets pass alone, as ranges in hexadecimal: the rule itself, to be read against the RFC. */
function bytesOf(rule: (text: string) => boolean): string {
  const ranges: string[] = [];
  for (let from = 0; from <= 0x200; from++) {
    if (!rule(String.fromCharCode(from))) continue;
    let to = from;
    while (rule(String.fromCharCode(to + 1))) to++;
    ranges.push(from === to ? from.toString(16) : `${from.toString(16)}-${to.toString(16)}`);
    from = to;
  }
  return ranges.join(" ");
}

describe("bytes of a rule", () => {
  test("token = 1*tchar (RFC 9110 §5.6.2)", () => {
    expect(bytesOf(isToken)).toBe("21 23-27 2a-2b 2d-2e 30-39 41-5a 5e-7a 7c 7e");
  });
  test("field-value: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5)", () => {
    expect(bytesOf(isFieldValue)).toBe("9 20-7e 80-ff");
  });
  test("request-target: VCHAR but no fragment (RFC 9112 §3.2)", () => {
    expect(bytesOf(isRequestTarget)).toBe("21-22 24-7e");
  });
  test("reg-name: unreserved and sub-delims (RFC 3986 §3.2.2)", () => {
    expect(bytesOf(isHost)).toBe("21 24 26-2e 30-39 3b 3d 41-5a 5f 61-7a 7e");
  });
});

type Table = readonly (readonly [text: string, inRule: boolean])[];

const TABLES: Record<string, [rule: (text: string) => boolean, table: Table]> = {
  "isToken()": [
    isToken,
    [
      ["GET", true],
      ["", false],
      ["a b", false],
      ["a\n", false],
      ["a\r\nb", false],
      ["\u0141", false],
    ],
  ],
  "isFieldValue()": [
    isFieldValue,
    [
      ["", true],
      [" outer blanks\t", true],
      ["text/html; q=0.8", true],
      ["a\n", false],
      ["\u010a", false],
      ["\u{1F600}", false],
    ],
  ],
  "isRequestTarget()": [
    isRequestTarget,
    [
      ["/", true],
      ["*", true],
      ["/a?b=%20", true],
      ["", false],
      ["/a b", false],
      ["/\n", false],
      ["/a#b", false],
    ],
  ],
  "isHost()": [
    isHost,
    [
      ["example.org", true],
      ["example.org:8080", true],
      ["example.org:", true],
      ["under_score.example", true],
      ["192.0.2.1:1", true],
      ["[2001:db8::1]", true],
      ["[2001:db8::1]:443", true],
      ["[v1.x:y]", true],
      ["[v1F.x:y]", true],
      ["a%20b", true],
      ["", false],
      [":80", false],
      ["2001:db8::1", false],
      ["[2001:db8::1", false],
      ["[]", false],
      ["[fe80::1%25eth0]", false],
      ["a%2", false],
      ["a:b", false],
      ["a:80\n", false],
      ["a/b", false],
      ["a@b", false],
      ["a,b:1 ", false],
    ],
  ],
  "isAuthorityForm()": [
    isAuthorityForm,
    [
      ["a:1", true],
      ["[::1]:1", true],
      ["a", false],
      ["a:", false],
      ["[::1]", false],
    ],
  ],
};

for (const [name, [rule, table]] of Object.entries(TABLES)) {
  describe(name, () => {
    test.each(table)("%j is %j", (text, inRule) => {
      expect(rule(text)).toBe(inRule);
    });
    test("a value that is no primitive string is not in the rule", () => {
      expect(rule(new String("a:1") as unknown as string)).toBe(false); // what JavaScript callers can pass
      expect(rule(["a:1"] as unknown as string)).toBe(false);
    });
  });
}

describe("tokenList()", () => {
  test.each([
    ["a", ["a"]],
    ["A, b ,\tC", ["a", "b", "c"]],
    [", a,,b ,", ["a", "b"]],
    ["", []],
    ["a b", null],
    ['"a"', null],
  ])("%j", (text, members) => {
    expect(tokenList(text)).toEqual(members);
  });
});

test("all rules are linear: 200,000 characters of the worst kind are looked at in no time", () => {
  const blanks = `${" \t".repeat(100_000)}\0`;
  const long = `${"a".repeat(200_000)}\0`;
  for (const rule of [isToken, isFieldValue, isRequestTarget, isHost, isAuthorityForm]) {
    for (const text of [blanks, long, `[${long}`, `${long}:`]) expect(rule(text)).toBe(false);
  }
});
