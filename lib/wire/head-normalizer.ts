/**
 * The slow path for heads that RFC 9110 and 9112 tell a recipient to read and llhttp refuses: rewrites them into what
 * llhttp reads, so that it stays the judge of the rest. Runs on a whole head, and only after llhttp refused one.
 *
 * - obs-fold becomes one SP (RFC 9112 §5.2);
 * - Content-Length fields or list members that are all the same become one (RFC 9110 §8.6);
 * - the blanks after a Content-Length or Transfer-Encoding are cut, TAB among them (RFC 9110 §5.6.3), and so are empty
 *   members of a Transfer-Encoding list (RFC 9110 §5.6.1.2).
 *
 * What cannot be brought into that form is left as it is, for llhttp to refuse.
 */

import { cutBlanks } from "./abnf.ts";

const FRAMING_FIELD = /^(content-length|transfer-encoding):([^\r]*)$/i;

/** @param head latin1, from the status line to the empty line */
export function normalizeHead(head: string): string {
  // The status line cannot be continued, or what looks like a field would hide in its reason phrase (RFC 9112 §2.2).
  if (/^[^\r]*\r\n[\t ]/.test(head)) return head;
  const lines = head.replace(/(?<![\t ])[\t ]*\r\n[\t ]+/g, " ").split("\r\n");
  const lengths: string[] = [];
  for (const line of lines) {
    const members = framingMembers(line, "content-length");
    if (members !== null) lengths.push(...members);
  }
  const oneLength = lengths.length > 0 && lengths.every((length) => length === lengths[0]);

  let written = false;
  const out: string[] = [];
  for (const line of lines) {
    const codings = framingMembers(line, "transfer-encoding");
    if (codings !== null) {
      out.push(`${line.slice(0, "transfer-encoding".length)}: ${codings.filter((coding) => coding !== "").join(", ")}`);
    } else if (oneLength && framingMembers(line, "content-length") !== null) {
      if (!written) out.push(`${line.slice(0, "content-length".length)}: ${lengths[0]}`);
      written = true;
    } else {
      out.push(line);
    }
  }
  return out.join("\r\n");
}

/** The list members of a line, if it is this field. */
function framingMembers(line: string, field: string): string[] | null {
  const match = FRAMING_FIELD.exec(line);
  if (match === null || match[1]!.toLowerCase() !== field) return null;
  return match[2]!.split(",").map(cutBlanks);
}
