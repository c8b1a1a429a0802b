/**
 * Whole requests, well formed: as data, to be sent by any client, and as bytes, to be fed to any server. Pure; strings
 * hold one byte in each char code.
 *
 * RFC 9112 §3 (request line), §6.2 (framing); RFC 9110 §7.2 (Host), §9 (methods).
 */

import { bodies, chunkedBodies } from "./bodies.ts";
import type { Arbitrary, FastCheck } from "./fast-check.ts";
import { type FieldPair, fieldLines, headerSections, tokens } from "./fields.ts";

export interface RequestMessage {
  readonly method: string;
  /** `host` or `host:port`. */
  readonly host: string;
  /** Origin-form: path and query. */
  readonly target: string;
  /** Besides Host and framing. */
  readonly fields: readonly FieldPair[];
  readonly framing: "none" | "length" | "chunked";
  readonly body: string;
  /** The body in the pieces in which it is chunked; in one where it is not. */
  readonly chunks: readonly string[];
  readonly trailers: readonly FieldPair[];
  /** All of it on the wire. */
  readonly bytes: string;
}

const METHODS = ["GET", "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "M-SEARCH"];
const HOSTS = ["a", "example.org", "example.org:8080", "127.0.0.1", "[::1]:80", "xn--bcher-kva.example"];
const WITHOUT_BODY = new Set(["GET", "HEAD", "OPTIONS", "CONNECT", "TRACE"]);

/** Requests that a server must read. */
export function requestMessages(
  fc: FastCheck,
  options: { readonly methods?: readonly string[] } = {},
): Arbitrary<RequestMessage> {
  const method = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...(options.methods ?? METHODS)) },
    ...(options.methods === undefined
      ? [{ weight: 1, arbitrary: tokens(fc, 8).filter((m) => m !== "CONNECT" && m !== "TRACE") }]
      : []),
  );
  return fc
    .tuple(
      method,
      fc.constantFrom(...HOSTS),
      targets(fc),
      headerSections(fc),
      fc.constantFrom("none", "length", "chunked"),
      bodies(fc),
      chunkedBodies(fc, { extensions: false }),
    )
    .chain(([name, host, target, section, wanted, text, chunked]) => {
      const framing = WITHOUT_BODY.has(name) ? "none" : (wanted as RequestMessage["framing"]); // the three above
      const own: FieldPair[] =
        framing === "none"
          ? []
          : framing === "length"
            ? [["Content-Length", String(text.length)]]
            : [["Transfer-Encoding", "chunked"]];
      const host1: FieldPair[] = [["Host", host]];
      return fc.tuple(fieldLines(fc, host1), fieldLines(fc, own)).map(([first, last]) => {
        const head = `${name} ${target} HTTP/1.1\r\n${[...first.lines, ...section.lines, ...last.lines].join("")}\r\n`;
        const body = framing === "none" ? "" : framing === "length" ? text : chunked.body;
        return {
          method: name,
          host,
          target,
          fields: section.fields,
          framing,
          body,
          chunks: framing === "chunked" ? chunked.chunks : body === "" ? [] : [body],
          trailers: framing === "chunked" ? chunked.trailers : [],
          bytes: head + (framing === "chunked" ? chunked.bytes : body),
        };
      });
    });
}

/** origin-form (RFC 9112 §3.2.1), with what is legal and seldom seen. */
export function targets(fc: FastCheck): Arbitrary<string> {
  const pchar = "abcXYZ019-._~!$&'()*+,;=:@/";
  const part = fc.oneof(
    { weight: 4, arbitrary: fc.string({ unit: fc.constantFrom(...pchar), maxLength: 12 }) },
    { weight: 1, arbitrary: fc.constantFrom("%20", "%2F..", "%00", "//", "..") },
  );
  const path = fc.array(part, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
  const query = fc.option(part, { nil: null });
  return fc.tuple(path, query).map(([p, q]) => (q === null ? p : `${p}?${q}`));
}
