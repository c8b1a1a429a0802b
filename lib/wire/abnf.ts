/**
 * The grammar of what goes out, rule by rule: RFC 9110 §5 and §7.2, RFC 9112 §3, RFC 3986 §3.2. Pure tests on strings in
 * which each char code is one byte; they never clean what they are given. Each is linear: one class of characters,
 * repeated, never two that could share a run.
 *
 * Every test also asks for a primitive string: an object that prints differently each time must not pass here and then be
 * printed again elsewhere.
 */

/**
 * token = 1*tchar
 * tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
 *
 * Methods, field names, connection options (RFC 9110 §5.6.2).
 */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export function isToken(text: string): boolean {
  return typeof text === "string" && TOKEN.test(text);
}

/**
 * field-value   = *field-content
 * field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
 * field-vchar   = VCHAR / obs-text
 *
 * RFC 9110 §5.5. Outer blanks are let pass: a recipient cuts them. Nothing above 0xFF: it could not be one byte.
 */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isFieldValue(text: string): boolean {
  return typeof text === "string" && FIELD_VALUE.test(text);
}

/**
 * request-target = origin-form / absolute-form / authority-form / asterisk-form
 *
 * RFC 9112 §3.2: here only what all four have in common, that no blank, control byte or byte above 0x7E can be in one, and
 * no fragment. Which form fits which request is the writer's to say.
 */
const REQUEST_TARGET = /^[!"$-~]+$/;

export function isRequestTarget(text: string): boolean {
  return typeof text === "string" && REQUEST_TARGET.test(text);
}

/**
 * Host       = uri-host [ ":" port ]
 * uri-host   = IP-literal / IPv4address / reg-name
 * reg-name   = *( unreserved / pct-encoded / sub-delims )
 * IP-literal = "[" ( IPv6address / IPvFuture ) "]"
 *
 * RFC 9110 §7.2, RFC 3986 §3.2.2. An empty host is in the grammar, for URIs without authority; those we send have one.
 */
const HOST =
  /^(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[\w\-.~!$&'()*+,;=:]+\]|(?:[\w\-.~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?$/;

export function isHost(text: string): boolean {
  return typeof text === "string" && HOST.test(text);
}

/** authority-form = uri-host ":" port: the target of CONNECT, whose port must be there (RFC 9112 §3.2.3). */
export function isAuthorityForm(text: string): boolean {
  return isHost(text) && /:[0-9]+$/.test(text);
}

/**
 * OWS = *( SP / HTAB )
 *
 * RFC 9110 §5.6.3. Not `trim()`: to that 0xA0 is a blank too, and in HTTP it is a byte like others.
 */
function isBlank(c: number): boolean {
  return c === 32 || c === 9;
}

/** Without the OWS at its end. */
export function cutBlanksAfter(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  return end === text.length ? text : text.slice(0, end);
}

/** Without the OWS at both ends. */
export function cutBlanks(text: string): string {
  let start = 0;
  while (start < text.length && isBlank(text.charCodeAt(start))) start++;
  return cutBlanksAfter(start === 0 ? text : text.slice(start));
}

/**
 * #token = [ token ] *( OWS "," OWS [ token ] )
 *
 * RFC 9110 §5.6.1.2, as a recipient reads it. Gives the members in lower case, never empty ones; null if one is no token.
 */
export function tokenList(text: string): string[] | null {
  const members: string[] = [];
  for (const part of text.split(",")) {
    const member = cutBlanks(part);
    if (member === "") continue;
    if (!TOKEN.test(member)) return null;
    members.push(member.toLowerCase());
  }
  return members;
}
