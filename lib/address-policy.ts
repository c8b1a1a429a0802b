/**
 * What kind of network an IP address belongs to, and the policies made of that for `allowAddress`: a server that fetches
 * URLs which somebody else chose must not be led into its own network. Pure.
 *
 * A policy sees the address that is about to be dialed, not the name: a name that resolves to 127.0.0.1 is refused as the
 * literal is. IPv6 addresses that carry an IPv4 address (mapped, compatible, translated, NAT64, 6to4) are as good as what they carry.
 *
 * RFC 6890 and the IANA special-purpose address registries; RFC 1918, 3927, 4193, 6598; RFC 6052 §2.1, RFC 3056 §2.
 */

import { type IpBytes, type IpRange, inIpRange, parseIp, parseIpRange } from "./ip.ts";

/** `public` is what may be reached from everywhere; `invalid` is no address. */
export type AddressKind =
  | "public"
  | "loopback"
  | "private"
  | "link-local"
  | "shared"
  | "unspecified"
  | "multicast"
  | "reserved"
  | "invalid";

/** The first block that an address is in says its kind. */
const BLOCKS: readonly (readonly [range: IpRange, kind: AddressKind])[] = (
  [
    ["0.0.0.0/8", "unspecified"], // "this host": Linux takes it for itself
    ["10.0.0.0/8", "private"],
    ["100.64.0.0/10", "shared"],
    ["127.0.0.0/8", "loopback"],
    ["169.254.0.0/16", "link-local"], // where clouds serve their metadata
    ["172.16.0.0/12", "private"],
    ["192.0.0.0/24", "reserved"],
    ["192.0.2.0/24", "reserved"],
    ["192.88.99.0/24", "reserved"],
    ["192.168.0.0/16", "private"],
    ["198.18.0.0/15", "reserved"],
    ["198.51.100.0/24", "reserved"],
    ["203.0.113.0/24", "reserved"],
    ["224.0.0.0/4", "multicast"],
    ["240.0.0.0/4", "reserved"], // 255.255.255.255 among them
    ["::/128", "unspecified"],
    ["::1/128", "loopback"],
    ["64:ff9b:1::/48", "private"],
    ["100::/64", "reserved"],
    ["2001::/23", "reserved"],
    ["2001:db8::/32", "reserved"],
    ["3fff::/20", "reserved"],
    ["5f00::/16", "reserved"],
    ["fc00::/7", "private"],
    ["fe80::/10", "link-local"],
    ["fec0::/10", "private"], // site-local: out of use, and still in networks
    ["ff00::/8", "multicast"],
  ] as const
).map(([text, kind]) => [range(text), kind]);

/** IPv6 blocks whose addresses carry an IPv4 address, and where in them it stands. */
const CARRIERS: readonly (readonly [range: IpRange, at: number])[] = [
  [range("64:ff9b::/96"), 12],
  [range("2002::/16"), 2],
  [range("::/96"), 12],
  [range("::ffff:0:0:0/96"), 12],
];

/** @param address as dialed: without brackets; a zone does not matter */
export function addressKind(address: string): AddressKind {
  const bytes = parseIp(address);
  return bytes === null ? "invalid" : kindOf(bytes);
}

function kindOf(bytes: IpBytes): AddressKind {
  const block = BLOCKS.find(([range]) => inIpRange(bytes, range));
  if (block !== undefined) return block[1];
  const carrier = CARRIERS.find(([range]) => inIpRange(bytes, range));
  return carrier === undefined ? "public" : kindOf(bytes.slice(carrier[1], carrier[1] + 4));
}

/**
 * For `allowAddress`: lets public addresses pass and nothing else, so neither loopback, private, link-local nor any other
 * special range. A proxy is dialed too: one inside the network needs a policy of your own that lets it pass.
 */
export function denyPrivateAddresses(address: string): boolean {
  return addressKind(address) === "public";
}

/** For `allowAddress`: refuses link-local addresses, where clouds serve their metadata, and lets all others pass. */
export function denyLinkLocalAddresses(address: string): boolean {
  const kind = addressKind(address);
  return kind !== "link-local" && kind !== "invalid";
}

function range(text: string): IpRange {
  return parseIpRange(text) as IpRange; // each is a literal of this file
}
