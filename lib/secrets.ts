/**
 * What must not be seen by who only watches: fields by which somebody proves who they are, credentials in URLs, and the
 * signatures that make a URL a key. Pure.
 *
 * What is hidden leaves a mark, so that a reader knows that something stood there.
 *
 * RFC 9110 §11 (authentication), RFC 6265 (cookies), RFC 3986 §3.2.1 (user information), OpenTelemetry `url.full`.
 */

/** Fields by which somebody proves who they are. Lower case. */
export const SECRET_FIELDS: readonly string[] = [
  "authorization",
  "proxy-authorization",
  "cookie",
  "cookie2",
  "set-cookie",
  "set-cookie2",
  // No standard has these, but they open doors like the ones above.
  "api-key",
  "x-api-key",
  "x-auth-token",
  "x-access-token",
  "x-csrf-token",
  "x-xsrf-token",
  "x-amz-security-token",
  "x-goog-api-key",
];

const SECRET: ReadonlySet<string> = new Set(SECRET_FIELDS);

/** What stands in the place of a secret. */
export const HIDDEN = "[hidden]";

type Fields = readonly (readonly [string, string])[];

/** Fields as they may be shown: no value of a secret one, and no credentials of URLs in the others. */
export function shownFields(fields: Fields): Fields {
  return fields.map(([name, value]) => [name, SECRET.has(name.toLowerCase()) ? HIDDEN : shownText(value)] as const);
}

/** Any text with the credentials and the signatures of the URLs in it hidden. */
export function shownText(text: string): string {
  // User information ends at the last @ of the authority: a password may have an @ that nobody escaped.
  const bare = text.includes("@") ? text.replace(/([/\\]{2})[^\s/\\?#"'<>]*@/g, `$1${HIDDEN}@`) : text;
  return bare.includes("=") ? bare.replace(SIGNATURE, `$1${HIDDEN}`) : bare;
}

/** Query parameters that make a URL a key: those of the clouds' presigned URLs, and of OAuth in a URL (RFC 6750 §2.3). */
const SIGNATURE = /([?&](?:AWSAccessKeyId|Signature|sig|X-Goog-Signature|X-Amz-Signature|access_token)=)[^&#\s"'<>]*/gi;
