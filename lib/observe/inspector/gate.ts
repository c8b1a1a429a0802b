/**
 * Who may see the inspector: a request's head, judged before anything is answered. Pure.
 *
 * A page of the web must not reach it: its name resolves to 127.0.0.1 (DNS rebinding), so the Host must be ours; it may
 * send requests across origins, so Origin and Sec-Fetch-Site must be ours; and it cannot know the token in the path.
 * Other users of the machine can connect, and cannot know the token either.
 *
 * RFC 9110 §7.2 (Host), §15.5; https://www.w3.org/TR/fetch-metadata/
 */

import { createHash, timingSafeEqual } from "node:crypto";

/** Bytes of a head. Browsers send less than one. */
export const HEAD_MAX = 8 * 1024;

export type Verdict =
  | { readonly status: 200; readonly path: string }
  | { readonly status: 400 | 403 | 404 | 405 | 421; readonly why: string };

/**
 * @param head up to and with its empty line, as latin1
 * @param token first segment of every path there is
 */
export function judge(head: string, port: number, token: string): Verdict {
  const [line = "", ...rest] = head.slice(0, -4).split("\r\n");
  const [, method, target, major] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/(\d)\.\d$/.exec(line) ?? [];
  if (method === undefined || target === undefined || major !== "1") return refuse(400, "this is no request of HTTP/1");
  const fields = new Map<string, string>();
  for (const field of rest) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(field) ?? [];
    if (name === undefined || value === undefined) return refuse(400, "a field line is malformed");
    const known = name.toLowerCase();
    if (SINGLE.has(known) && fields.has(known)) return refuse(400, `${known} is there twice`);
    fields.set(known, value);
  }
  const host = fields.get("host");
  if (host === undefined) return refuse(400, "Host is missing");
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (!hosts.includes(host.toLowerCase())) return refuse(421, "Host is not this server");
  const origin = fields.get("origin");
  if (origin !== undefined && origin !== `http://${host.toLowerCase()}`) return refuse(403, "another origin asks");
  const site = fields.get("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return refuse(403, "another site asks");
  if (method !== "GET") return refuse(405, "only GET is known");
  if (fields.has("transfer-encoding") || (fields.get("content-length") ?? "0") !== "0")
    return refuse(400, "a GET has no content here");
  const [, given = "", path = ""] = /^\/([^/?#]*)(\/[^?#]*)?(?:\?[^#]*)?$/.exec(target) ?? [];
  // Wrong token and wrong path are one answer, which takes as long whatever part of the token was right.
  if (!timingSafeEqual(digest(given), digest(token)) || path === "") return refuse(404, "nothing is here");
  return { status: 200, path };
}

const SINGLE: ReadonlySet<string> = new Set([
  "host",
  "origin",
  "sec-fetch-site",
  "content-length",
  "transfer-encoding",
]);

function refuse(status: 400 | 403 | 404 | 405 | 421, why: string): Verdict {
  return { status, why };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
