/**
 * A media type as the standard writes it, where it is shown as one: in the `type` of a Blob, in the answer to a data: URL.
 * Node's own parser does the work.
 *
 * MIME Sniffing standard, "parse a MIME type", "serialize a MIME type".
 */

/** Null where it is no media type. */
export function serializedMimeType(given: string): string | null {
  const { MIMEType } = process.getBuiltinModule("node:util");
  try {
    return `${new MIMEType(given)}`;
  } catch {
    return null;
  }
}
