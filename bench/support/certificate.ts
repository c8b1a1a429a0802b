/**
 * A self-signed certificate for 127.0.0.1, made anew for each run: no key lies in the repository, and none is asked of
 * a tool that may not be installed. Node cannot make certificates, so the few DER values are put together here
 * (X.690 §8; RFC 5280 §4.1; ECDSA with SHA-256 on P-256, RFC 5758 §3.2).
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";

const DAY_MS = 86_400_000;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  // Short form, or the one or two length bytes that a certificate can need (X.690 §8.1.3).
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const integer = (...bytes: readonly number[]) => der(0x02, Buffer.from(bytes));
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
const octets = (content: Uint8Array) => der(0x04, content);
const bits = (content: Uint8Array) => der(0x03, Buffer.from([0]), content);
const time = (ms: number) =>
  der(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, "").slice(2, 14)}Z`));

/** @returns certificate and private key as PEM */
export function selfSigned(): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
  const name = sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from("persistconn bench")))));
  const subjectAltName = sequence(der(0x87, Buffer.from([127, 0, 0, 1])));
  // CA: it is its own issuer, and is trusted as one.
  const basicConstraints = sequence(der(0x01, Buffer.from([0xff])));
  const keyId = createHash("sha1").update(spki).digest();
  const extensions = sequence(
    sequence(oid("551d11"), octets(subjectAltName)),
    sequence(oid("551d13"), der(0x01, Buffer.from([0xff])), octets(basicConstraints)),
    sequence(oid("551d0e"), octets(octets(keyId))),
  );
  const now = Date.now();
  const toBeSigned = sequence(
    der(0xa0, integer(2)),
    integer(1),
    ecdsaWithSha256,
    name,
    sequence(time(now - DAY_MS), time(now + DAY_MS)),
    name,
    spki,
    der(0xa3, extensions),
  );
  const certificate = sequence(toBeSigned, ecdsaWithSha256, bits(sign("sha256", toBeSigned, privateKey)));
  const base64 = certificate.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
