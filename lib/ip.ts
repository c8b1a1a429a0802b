/**
 * IP addresses as bytes, and ranges of them. Pure; shared by what asks whether an address may be dialed and by what asks
 * whether it is proxied, so that both read an address the same way.
 *
 * An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is that IPv4 address: whoever compares must not be led past
 * a rule by the other spelling. IPv4 is four decimal numbers without leading zeros, which some would read as octal.
 *
 * RFC 4291 §2.2 (text forms), §2.5.5.2 (IPv4-mapped); RFC 4632 (CIDR).
 */

/** Four or sixteen bytes. */
export type IpBytes = readonly number[];

/** A block of addresses: those that have the first `bits` in common. */
export interface IpRange {
  readonly bytes: IpBytes;
  readonly bits: number;
}

/** The bytes of an address, without brackets; a zone (`%eth0`) is left out. Null where it is none. */
export function parseIp(text: string): IpBytes | null {
  if (!text.includes(":")) return parseV4(text);
  const zone = text.indexOf("%");
  const bytes = parseV6(zone < 0 ? text : text.slice(0, zone));
  return bytes === null ? null : unmapped(bytes);
}

/** `10.0.0.0/8`, `fd00::/8`. Null where it is no such block. */
export function parseIpRange(text: string): IpRange | null {
  const slash = text.indexOf("/");
  if (slash < 0) return null;
  const address = text.slice(0, slash);
  const length = text.slice(slash + 1);
  const bytes = address.includes(":") ? parseV6(address) : parseV4(address);
  if (bytes === null || !/^(0|[1-9]\d{0,2})$/.test(length)) return null;
  const bits = Number(length);
  if (bits > bytes.length * 8) return null;
  // Addresses are compared without their mapping, so a block of mapped ones is a block of IPv4 addresses.
  return bits >= 96 && isMapped(bytes) ? { bytes: bytes.slice(12), bits: bits - 96 } : { bytes, bits };
}

export function inIpRange(address: IpBytes, range: IpRange): boolean {
  const { bytes, bits } = range;
  if (address.length !== bytes.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== bytes[i]) return false;
  const rest = 8 - (bits & 7);
  // Where no bits are left over, `whole` may be one past the end.
  return rest === 8 || address[whole]! >> rest === bytes[whole]! >> rest;
}

export function sameIp(a: IpBytes, b: IpBytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: IpBytes): boolean {
  return address.length === 4 ? address[0] === 127 : address.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

function parseV4(text: string): IpBytes | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes: number[] = [];
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes.push(Number(part));
  }
  return bytes;
}

function parseV6(text: string): IpBytes | null {
  const gap = text.indexOf("::");
  if (gap < 0) {
    const bytes = groups(text, true);
    return bytes?.length === 16 ? bytes : null;
  }
  if (text.includes("::", gap + 1)) return null;
  const head = gap === 0 ? [] : groups(text.slice(0, gap), false);
  const tail = gap + 2 === text.length ? [] : groups(text.slice(gap + 2), true);
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  return missing < 2 ? null : [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Groups of sixteen bits; the last two of an address may be written as IPv4. */
function groups(text: string, atEnd: boolean): number[] | null {
  const bytes: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (atEnd && i === parts.length - 1 && part.includes(".")) {
      const four = parseV4(part);
      if (four === null) return null;
      bytes.push(...four);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 255);
    }
  }
  return bytes;
}

function isMapped(bytes: IpBytes): boolean {
  return bytes.length === 16 && bytes.every((byte, i) => i > 11 || byte === (i < 10 ? 0 : 255));
}

function unmapped(bytes: IpBytes): IpBytes {
  return isMapped(bytes) ? bytes.slice(12) : bytes;
}
