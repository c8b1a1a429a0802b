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
  return fields.map(([name, value]) => [name, shownValue(name, value)] as const);
}

/** The value of one field as it may be shown. */
function shownValue(name: string, value: string): string {
  return isSecretField(name) ? HIDDEN : shownText(value);
}

/** Whether nothing of such a field's value may be shown. */
export function isSecretField(name: string): boolean {
  return SECRET.has(name.toLowerCase());
}

/** Any text with the credentials and the signatures of the URLs in it hidden. */
export function shownText(text: string): string {
  // User information ends at the last @ of the authority: a password may have an @ that nobody escaped, and quotes.
  const bare = text.includes("@") ? text.replace(/([/\\]{2})[^\s/\\?#]*@/g, `$1${HIDDEN}@`) : text;
  return bare.includes("=") ? bare.replace(SIGNATURE, `$1${HIDDEN}`) : bare;
}

/**
 * Parameters that make a URL a key: those of the clouds' presigned URLs, and of OAuth, in a query (RFC 6750 §2.3) or a
 * fragment (RFC 6749 §4.2.2).
 */
const SIGNATURE =
  /([?&#](?:AWSAccessKeyId|Signature|sig|X-Goog-Signature|X-Amz-Signature|X-Amz-Security-Token|X-OSS-Signature|X-OSS-Security-Token|access_token|refresh_token|id_token|client_secret|api_key)=)[^&#\s"'<>]*/gi;
