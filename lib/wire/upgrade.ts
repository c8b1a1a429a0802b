/**
 * The Upgrade field: which protocols a request offers, and whether a 101 switches to one of them. Pure.
 *
 * RFC 9110 §7.8 (Upgrade), §7.6.1 (Connection), §15.2.2 (101).
 */

import { cutBlanks, isToken, tokenList } from "./abnf.ts";
import type { FieldLines } from "./parser-events.ts";

export const NO_PROTOCOLS: readonly string[] = Object.freeze([]);

/**
 * Upgrade = #protocol, protocol = protocol-name [ "/" protocol-version ], both tokens.
 *
 * @returns the members in lower case, since names are compared without case; null if one is no protocol
 */
export function protocolList(text: string): string[] | null {
  const members: string[] = [];
  for (const part of text.split(",")) {
    const member = cutBlanks(part).toLowerCase();
    if (member === "") continue;
    const slash = member.indexOf("/");
    const name = slash < 0 ? member : member.slice(0, slash);
    if (!isToken(name) || (slash >= 0 && !isToken(member.slice(slash + 1)))) return null;
    members.push(member);
  }
  return members;
}

/**
 * Why a 101 cannot be followed; null where it can. It must say with Connection and Upgrade where to, and that must have
 * been offered: a server must not switch to what the client did not name (RFC 9110 §7.8), and a client that went along
 * would speak one protocol with a peer, or with whoever stands between, that speaks another.
 *
 * @param offered the protocols of the request, as `protocolList` gives them
 * @param fields of the 101
 */
export function switchRefusal(offered: readonly string[], fields: FieldLines): string | null {
  if (offered.length === 0) return "status 101 without Upgrade in the request (RFC 9110 §15.2.2)";
  const chosen: string[] = [];
  let hasOption = false;
  for (let i = 0; i < fields.length; i++) {
    const name = fields.name(i).toLowerCase();
    if (name === "upgrade") {
      const protocols = protocolList(fields.value(i));
      if (protocols === null) return "status 101 whose Upgrade is no list of protocols (RFC 9110 §7.8)";
      chosen.push(...protocols);
    } else if (name === "connection") {
      hasOption ||= tokenList(fields.value(i))?.includes("upgrade") ?? false;
    }
  }
  if (chosen.length === 0) return "status 101 without Upgrade (RFC 9110 §15.2.2)";
  if (!hasOption) return "status 101 whose Connection does not say upgrade (RFC 9110 §7.8)";
  return chosen.every((protocol) => isOffered(protocol, offered))
    ? null
    : "status 101 to a protocol that was not offered (RFC 9110 §7.8)";
}

/** An offer without a version is one of every version. */
function isOffered(protocol: string, offered: readonly string[]): boolean {
  const slash = protocol.indexOf("/");
  return offered.includes(protocol) || (slash >= 0 && offered.includes(protocol.slice(0, slash)));
}
