/** Challenges as servers write them, and the calculation of Digest by the RFCs' own examples. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Challenge, parseChallenges, parseParams } from "../../lib/middleware/challenges.ts";
import { chooseDigest, type DigestChallenge, DigestSession } from "../../lib/middleware/digest.ts";

/** In a line: `scheme token68`, or `scheme name=value|name=value`. */
function shown({ scheme, token68, params }: Challenge): string {
  const list = [...params].map(([name, value]) => `${name}=${value}`).join("|");
  return [scheme, token68 ?? list].filter((part) => part !== "").join(" ");
}

describe("parseChallenges() (RFC 9110 §11.6.1)", () => {
  test.each<[string | null, string[]]>([
    [null, []],
    ["", []],
    ['Basic realm="simple"', ["basic realm=simple"]],
    ["Basic", ["basic"]],
    ["Negotiate, Basic realm=x", ["negotiate", "basic realm=x"]],
    [
      'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      ['newauth realm=apps|type=1|title=Login to "apps"', "basic realm=simple"],
    ],
    ['NTLM TlRMTVNTUAAC==, Digest realm="a", nonce="b=,c"', ["ntlm TlRMTVNTUAAC==", "digest realm=a|nonce=b=,c"]],
    [
      ', , Basic realm=a ,, Bearer  scope = "x y" ,error=invalid_token,',
      ["basic realm=a", "bearer scope=x y|error=invalid_token"],
    ],
    ["Bearer abc", ["bearer abc"]],
    ["Bearer abc=", ["bearer abc="]], // a token68, by the grammar
    ["bearer REALM=x", ["bearer realm=x"]],
    ['Digest qop="auth,auth-int",realm="",nonce=n', ["digest qop=auth,auth-int|realm=|nonce=n"]],
    ["Basic realm=first, realm=second", ["basic realm=first"]],
    // What breaks the grammar ends the list: nothing of it can be trusted.
    ['Basic realm="open, Digest realm="x"', []],
    ["Basic realm=a, Digest nonce=;", ["basic realm=a"]],
    ["Basic realm=a, @", []],
    ["=x", []],
    ["Basic realm=a b=c", []],
    ["Bearer, Basic realm=a b=c", ["bearer"]],
  ])("%j", (field, expected) => {
    expect(parseChallenges(field).map(shown)).toEqual(expected);
  });

  test("reads back what was written, however it is spaced", () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const params = fc.uniqueArray(fc.tuple(token, fc.string({ unit: "grapheme-ascii" })), {
      selector: ([name]) => name,
      maxLength: 4,
    });
    const challenge = fc.record({ scheme: token, params });
    const gap = fc.constantFrom(",", ", ", " , ", ",\t,");
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), gap, (list, separator) => {
        const text = list
          .map(({ scheme, params: own }) =>
            [scheme, own.map(([name, value]) => `${name}="${value.replace(/["\\]/g, "\\$&")}"`).join(separator)].join(
              " ",
            ),
          )
          .join(separator);
        expect(parseChallenges(text).map(({ scheme, params: own }) => ({ scheme, params: [...own] }))).toEqual(list);
      }),
    );
  });

  test("takes any text in time in proportion to its length, and throws at none", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseChallenges(text)));
    for (const text of [
      "a=".repeat(60_000),
      `a ${"=".repeat(120_000)}x`,
      `a ${"b".repeat(120_000)}"`,
      ", ".repeat(60_000),
      `a b="${"\\".repeat(120_000)}`,
    ]) {
      parseChallenges(text); // a quadratic one takes minutes
    }
  });

  test("parseParams() reads a field of parameters alone", () => {
    expect([...parseParams(' nextnonce="a, b", nc=00000001')]).toEqual([
      ["nextnonce", "a, b"],
      ["nc", "00000001"],
    ]);
    expect([...parseParams("nonsense")]).toEqual([]);
  });
});

function challengeOf(text: string): DigestChallenge {
  const [one] = parseChallenges(text);
  const chosen = one === undefined ? null : chooseDigest([one]);
  if (chosen === null) throw new Error(`No challenge in ${text}`);
  return chosen;
}

describe("Digest, by the RFCs' examples", () => {
  const mufasa = (algorithm: string) =>
    new DigestSession(
      challengeOf(
        `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
      ),
      "Mufasa",
      "Circle of Life",
      "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    ).authorization({ method: "GET", uri: "/dir/index.html", bodyHash: null });

  test("RFC 7616 §3.9.1, MD5: the whole field", () => {
    expect(mufasa("MD5")).toBe(
      'Digest username="Mufasa", realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", response="8ca523f5e9506fed4657c9700eebdbec", algorithm=MD5, opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"',
    );
  });

  test("RFC 7616 §3.9.1, SHA-256", () => {
    expect(mufasa("SHA-256")).toContain('response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"');
  });

  const doe = (more: string) =>
    new DigestSession(
      challengeOf(
        `Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8${more}`,
      ),
      "Ja\u0308s\u00f8n Doe", // the umlaut in two code points: Normalization Form C makes one of them
      "Secret, or not?",
      "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    ).authorization({ method: "GET", uri: "/doe.json", bodyHash: null });

  test("RFC 7616 §3.9.2 with erratum 4897, SHA-512-256, charset and userhash", () => {
    const field = doe(", userhash=true");
    expect(field).toContain('Digest username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", ');
    expect(field).toContain('response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"');
    expect(field).toMatch(/, userhash=true$/);
  });

  test("RFC 7616 §3.9.2, without userhash: username* (RFC 8187)", () => {
    const field = doe("");
    expect(field).toContain("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, ");
    expect(field).toContain('response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"');
  });

  test("RFC 2617 §3.5, MD5 by default", () => {
    const challenge = challengeOf(
      'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
    );
    const session = new DigestSession(challenge, "Mufasa", "Circle Of Life", "0a4f113b");
    const first = session.authorization({ method: "GET", uri: "/dir/index.html", bodyHash: null });
    expect(first).toContain('response="6629fae49393a05397450978507c4ef1"');
    expect(first).not.toContain("algorithm");
    const second = session.authorization({ method: "GET", uri: "/dir/index.html", bodyHash: null });
    expect(second).toContain("nc=00000002");
    expect(second).not.toContain("6629fae49393a05397450978507c4ef1");
  });

  test("RFC 2069, no qop: neither nc nor cnonce", () => {
    const challenge = challengeOf(
      'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
    );
    const field = new DigestSession(challenge, "Mufasa", "CircleOfLife", "x").authorization({
      method: "GET",
      uri: "/dir/index.html",
      bodyHash: null,
    });
    expect(field).toContain('response="1949323746fe6a43ef61f9606e7febea"'); // RFC 2069 §2.4 with its erratum 749
    expect(field).not.toMatch(/nc=|cnonce=|qop=/);
  });

  test("another nonce begins to count anew, the same does not", () => {
    const session = new DigestSession(
      challengeOf('Digest realm=r, qop=auth, nonce=a, algorithm="MD5-sess"'),
      "u",
      "p",
      "c",
    );
    const next = () => session.authorization({ method: "GET", uri: "/", bodyHash: null });
    next();
    session.nextNonce("a");
    expect(next()).toContain('nonce="a", uri="/", response=');
    expect(next()).toContain("nc=00000003");
    session.nextNonce("b");
    expect(next()).toMatch(/nonce="b".*nc=00000001/);
  });

  test("quotes and backslashes are escaped in the field and not in the hash; bytes of the realm stay as they came", () => {
    const challenge = challengeOf('Digest realm="a \\"b\\" \xe9", qop=auth, nonce=n, opaque="\\\\"');
    expect(challenge.realm).toBe('a "b" \xe9');
    const field = new DigestSession(challenge, 'u"', "p", "c").authorization({
      method: "GET",
      uri: "/",
      bodyHash: null,
    });
    expect(field).toContain('username="u\\"", realm="a \\"b\\" \xe9"');
    expect(field).toContain('opaque="\\\\"');
  });
});

describe("chooseDigest()", () => {
  const chosen = (...texts: string[]) => chooseDigest(parseChallenges(texts.join(", ")))?.algorithm ?? null;
  const one = (algorithm: string, rest = "qop=auth") => `Digest realm=r, nonce=n, algorithm=${algorithm}, ${rest}`;

  test("takes the strongest, of one field or of several, whatever their order and what stands between", () => {
    const list = [one("MD5"), "Basic realm=x", one("SHA-512-256"), one("SHA-256"), "Bearer"];
    expect(chosen(...list)).toBe("SHA-256");
    expect(chosen(...list.toReversed())).toBe("SHA-256");
    expect(chosen(one("MD5"), one("SHA-512-256-sess"))).toBe("SHA-512-256-sess");
    expect(chosen(one("MD5", "opaque=x"), one("MD5-sess"))).toBe("MD5-sess"); // a qop is better than none
    expect(chosen(one("sha-256-SESS"), one("SHA-256"))).toBe("SHA-256-sess"); // as good: the first
  });

  test.each([
    ["no nonce", "Digest realm=r, qop=auth"],
    ["no realm", "Digest nonce=r, qop=auth"],
    ["an algorithm nobody knows", one("SHA-1")],
    ["a qop nobody knows", one("MD5", "qop=auth-conf")],
    ["-sess without qop", one("MD5-sess", "opaque=x")],
    ["another scheme", "Basic realm=r, nonce=n"],
    ["nothing", ""],
  ])("takes none where there is %s", (_, text) => {
    expect(chosen(text)).toBeNull();
  });

  test("takes only what is allowed", () => {
    expect(chooseDigest(parseChallenges(one("MD5")), ["SHA-256"])).toBeNull();
  });

  test("takes auth-int where auth is not offered", () => {
    expect(chooseDigest(parseChallenges(one("MD5", 'qop="auth-int"')))?.qop).toBe("auth-int");
    expect(chooseDigest(parseChallenges(one("MD5", 'qop="auth-int, AUTH"')))?.qop).toBe("auth");
  });
});
