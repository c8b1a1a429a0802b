/**
 * URLs as people type them: a scheme is guessed, and credentials never get to a screen.
 *
 * Pure. What the grammar allows beyond that is for Request to judge.
 */

import { isSecretField, shownText } from "../secrets.ts";

export type Target =
  | { readonly ok: true; readonly url: string }
  | { readonly ok: false; readonly why: "bad-url" | "unsupported-scheme"; readonly message: string };

/** Completes `example.org:8080/x` to an `http:` URL, and refuses what is none. */
export function targetOf(text: string): Target {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(url)) return { ok: false, why: "bad-url", message: `Cannot parse URL ${redacted(url)}` };
  const { protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") {
    const message = `Cannot send to ${redacted(url)}: only http and https are spoken here`;
    return { ok: false, why: "unsupported-scheme", message };
  }
  return { ok: true, url };
}

/** The URL without user and password, also where it does not parse. */
export function redacted(url: string): string {
  // With a slash in it that nobody escaped, a password ends the authority: nothing before the last @ can be trusted then.
  if (!URL.canParse(url)) return url.slice(url.lastIndexOf("@") + 1);
  // Up to the last @ of the authority: a password may have an @ that nobody escaped.
  return url.replace(/^([a-z][a-z0-9+.-]*:[/\\]*)[^/\\?#]*@/i, "$1");
}

/** Any text with the credentials of the URLs in it taken out. */
export function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/\\?#]*@/gi, "$1");
}

const SCHEMED = /^(proxy-)?authorization$/i;

/** A field as it may be shown: of an Authorization, the scheme alone; of other secrets nothing. */
export function shownField(name: string, value: string): string {
  if (!isSecretField(name)) return `${name}: ${shownText(value)}`;
  if (!SCHEMED.test(name)) return `${name}: (hidden)`;
  const blank = value.indexOf(" ");
  return `${name}: ${blank < 0 ? "" : `${value.slice(0, blank)} `}(hidden)`;
}
