/** TLS identities without a network: what makes two sets of options one. */

import { createSecureContext } from "node:tls";
import { describe, expect, test } from "vitest";
import type { TlsOptions } from "../../lib/conn/tls.ts";
import { beyondOrigin, TlsIdentities } from "../../lib/conn/tls-identity.ts";

const id = (identities: TlsIdentities, tls: TlsOptions) => identities.of(tls)?.id ?? 0;

describe("TlsIdentities.of()", () => {
  test("gives one identity to equal bytes in any order of names, and none to what the transport says already", () => {
    const identities = new TlsIdentities({ ca: "authority", minVersion: "TLSv1.2" });
    expect(id(identities, {})).toBe(0);
    expect(id(identities, { minVersion: "TLSv1.2" })).toBe(0);
    expect(id(identities, { servername: "a.test", ca: ["one", "two"] })).toBe(1);
    expect(id(identities, { ca: ["one", "two"], servername: "a.test" })).toBe(1);
  });

  test.each<[string, TlsOptions, TlsOptions]>([
    ["bytes", { cert: Buffer.from("c") }, { cert: Buffer.from("c") }],
    ["bytes of a view", { cert: Buffer.from("abc").subarray(1, 2) }, { cert: Buffer.from("b") }],
    ["parts in any order", { key: [{ pem: "a", passphrase: "x" }] }, { key: [{ passphrase: "x", pem: "a" }] }],
    ["parts without a prototype", { key: [{ pem: "a" }] }, { key: [Object.assign(Object.create(null), { pem: "a" })] }],
    ["what is undefined", { ciphers: "a", cert: undefined }, { ciphers: "a" }],
    ["null", { ciphers: null as unknown as string }, { ciphers: null as unknown as string }], // node:tls's to refuse
  ])("sees no difference in %s", (_, one, other) => {
    const identities = new TlsIdentities();
    expect([id(identities, one), id(identities, other)]).toEqual([1, 1]);
  });

  test("sees no difference in any order of three names", () => {
    const identities = new TlsIdentities();
    const values: TlsOptions = { servername: "a.test", ciphers: "a", ecdhCurve: "c" };
    const names = ["servername", "ciphers", "ecdhCurve"] as const;
    for (const a of names)
      for (const b of names)
        for (const c of names) {
          if (new Set([a, b, c]).size < 3) continue;
          expect(id(identities, { [a]: values[a], [b]: values[b], [c]: values[c] })).toBe(1);
        }
  });

  test.each([
    ["on", "string"],
    [null, "null"],
    [undefined, "undefined"],
  ])("refuses %j", (options, kind) => {
    const words = `Option tls must be an object: it is ${kind}`;
    expect(() => new TlsIdentities().of(options as unknown as TlsOptions)).toThrow(new TypeError(words));
  });

  test("what is undefined takes nothing of the transport's away, nor a client certificate whole", () => {
    const identities = new TlsIdentities({ ca: "one", cert: "c", key: "k" });
    expect(identities.of({ ca: undefined, pfx: undefined, servername: "a.test" })?.layer.options).toEqual({
      ca: "one",
      cert: "c",
      key: "k",
      servername: "a.test",
    });
  });

  test.each<[string, TlsOptions, TlsOptions]>([
    ["a list cut elsewhere", { ca: ["ab", "c"] }, { ca: ["a", "bc"] }],
    ["a list of one and its item", { ca: ["a"] }, { ca: "a" }],
    ["text that looks like another option", { ciphers: "a", servername: "b" }, { ciphers: "as1:bservername=" }],
    ["true and the word", { rejectUnauthorized: true }, { servername: "true" }],
    ["pins in another order", { pins: pins("A", "B") }, { pins: pins("B", "A") }],
    ["passphrases of keys", { key: [{ pem: "a", passphrase: "x" }] }, { key: [{ pem: "a", passphrase: "y" }] }],
    ["the same under another name", { ciphers: "a" }, { ecdhCurve: "a" }],
    ["text that looks like what is no text", { ciphers: "a;servername=string b" }, { ciphers: "a", servername: "b" }],
    ["bytes cut elsewhere", { ca: [Buffer.from("a"), Buffer.from("b")] }, { ca: [Buffer.from("ab"), Buffer.from("")] }],
    ["bytes and text", { ca: Buffer.from("a") }, { ca: "a" }],
    ["which of two is empty", { key: [{ pem: "a" }, {}] as never }, { key: [{}, { pem: "a" }] as never }], // a key of none
    ["flags", { rejectUnauthorized: true }, { rejectUnauthorized: false }],
    ["numbers", { sessionTimeout: 1 }, { sessionTimeout: 2 }],
    ["a number and its text", { sessionTimeout: 1 }, { sessionTimeout: "1" as never }], // as callers without types
    ["two functions of one text", { checkServerIdentity: () => undefined }, { checkServerIdentity: () => undefined }],
    ["two contexts", { secureContext: createSecureContext() }, { secureContext: createSecureContext() }],
  ])("tells apart: %s", (_, one, other) => {
    const identities = new TlsIdentities();
    expect([id(identities, one), id(identities, other), id(identities, one)]).toEqual([1, 2, 1]);
    expect([id(identities, { ...other }), id(identities, { ...one })]).toEqual([2, 1]);
  });

  test("sees changes of an object that it knows, in its lists and parts too", () => {
    const identities = new TlsIdentities();
    const key = { pem: "a", passphrase: "x" };
    const tls: TlsOptions & { ca: string[] } = { ca: ["one"], key: [key] };
    expect(id(identities, tls)).toBe(1);
    tls.ca.push("two");
    expect(id(identities, tls)).toBe(2);
    key.passphrase = "y";
    expect(id(identities, tls)).toBe(3);
    delete tls.key;
    expect(id(identities, tls)).toBe(4);
    tls.servername = "a.test";
    expect(id(identities, tls)).toBe(5);
    delete tls.servername;
    tls.ca.pop();
    tls.key = [{ pem: "a", passphrase: "x" }];
    expect(id(identities, tls)).toBe(1);
  });

  test("keeps what it looked at: what is changed later does not get into a layer", () => {
    const ca = ["one"];
    const bytes = Buffer.from("two");
    const key = { pem: "four" };
    const identity = new TlsIdentities().of({ ca, cert: bytes, key: [key] });
    ca.push("three");
    bytes.fill(0);
    key.pem = "five";
    expect(identity?.layer.options).toEqual({ ca: ["one"], cert: Buffer.from("two"), key: [{ pem: "four" }] });
  });

  test("takes the transport's as they were when it was made", () => {
    const base: TlsOptions = { ca: "one" };
    const identities = new TlsIdentities(base);
    base.rejectUnauthorized = false;
    expect(identities.of({ servername: "a.test" })?.layer.options).toEqual({ ca: "one", servername: "a.test" });
  });

  test("takes a client certificate whole, and a context in place of all that goes into one", () => {
    const identities = new TlsIdentities({ ca: "one", cert: "c", key: "k", passphrase: "p", servername: "a.test" });
    const optionsOf = (tls: TlsOptions) => identities.of(tls)?.layer.options;
    expect(optionsOf({ pfx: "f" })).toEqual({ ca: "one", servername: "a.test", pfx: "f" });
    expect(optionsOf({ cert: "d", key: "l" })).toEqual({ ca: "one", servername: "a.test", cert: "d", key: "l" });
    const secureContext = createSecureContext();
    expect(optionsOf({ secureContext })).toEqual({ servername: "a.test", secureContext });
    expect(() => optionsOf({ secureContext, ca: "two" })).toThrow("tls.ca has no effect");
    expect(() => new TlsIdentities({ secureContext }).of({ cert: "d", key: "l" })).toThrow("tls.cert has no effect");
  });

  test("remembers two hundred and fifty-six; an older one gets another number when it comes again as another object", () => {
    const identities = new TlsIdentities();
    const first = { servername: "0.test" };
    for (let n = 0; n < 257; n++) expect(id(identities, n === 0 ? first : { servername: `${n}.test` })).toBe(n + 1);
    expect(id(identities, { servername: "1.test" })).toBe(2);
    expect(id(identities, { servername: "0.test" })).toBe(258);
    expect(id(identities, first)).toBe(1);
  });

  test("clear() forgets all", () => {
    const identities = new TlsIdentities();
    expect(id(identities, { servername: "a.test" })).toBe(1);
    identities.clear();
    expect(id(identities, { servername: "a.test" })).toBe(2);
  });
});

test("beyondOrigin() leaves who we are and the name behind, and keeps what restricts", () => {
  const kept = { ca: "one", rejectUnauthorized: true, pins: pins("A") };
  const own = {
    cert: "c",
    key: "k",
    passphrase: "p",
    pfx: "f",
    clientCertEngine: "e",
    privateKeyEngine: "e",
    privateKeyIdentifier: "i",
    pskCallback: () => null,
    servername: "a.test",
    secureContext: createSecureContext(),
  };
  expect(beyondOrigin({ ...own, ...kept })).toEqual(kept);
});

function pins(...letters: string[]): string[] {
  return letters.map((letter) => `sha256/${letter.repeat(42)}A=`);
}
