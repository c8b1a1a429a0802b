/**
 * A FormData as multipart/form-data, encoded by ourselves: the platform's own encoder comes only with undici. Text parts
 * become bytes, files stay Blobs to be read while sending; so the length is known before a byte is read.
 *
 * HTML standard, "multipart form data"; RFC 7578; RFC 2046 §5.1.1.
 */

import { LocalProtocolError } from "../errors.ts";
import { isFieldValue } from "../wire/abnf.ts";
import { type BlobLike, isBlob } from "./body-sources.ts";
import { kindOf } from "./options.ts";

/** What we use of a FormData: its entries. A File is a Blob with a name. */
export interface FormDataLike {
  entries(): Iterable<readonly [string, unknown]>;
  getAll(name: string): unknown[];
}

export function isFormData(value: object): value is FormDataLike {
  return kindOf(value) === "FormData" && typeof (value as Partial<FormDataLike>).entries === "function";
}

export interface Multipart {
  readonly parts: readonly (Uint8Array | BlobLike)[];
  /** Bytes of all parts together. */
  readonly length: number;
  readonly contentType: string;
}

/**
 * Encodes the entries as they are now.
 *
 * @throws {LocalProtocolError} a file's content type could not stand in a field
 */
export function encodeMultipart(form: FormDataLike, boundary: string = randomBoundary()): Multipart {
  const parts: (Uint8Array | BlobLike)[] = [];
  let text = "";
  let length = 0;
  const flush = (): void => {
    const bytes = Buffer.from(text, "utf8");
    text = "";
    length += bytes.length;
    parts.push(bytes);
  };
  for (const [name, value] of form.entries()) {
    text += `--${boundary}\r\nContent-Disposition: form-data; name="${escapeQuoted(withCrlf(name))}"`;
    if (typeof value !== "object" || value === null || !isBlob(value)) {
      text += `\r\n\r\n${withCrlf(`${value}`)}\r\n`;
      continue;
    }
    const file: BlobLike & { readonly name?: unknown } = value;
    text += `; filename="${escapeQuoted(`${file.name ?? "blob"}`)}"\r\nContent-Type: ${contentTypeOf(file) ?? "application/octet-stream"}\r\n\r\n`;
    flush();
    length += file.size;
    parts.push(file);
    text += "\r\n";
  }
  text += `--${boundary}--\r\n`;
  flush();
  return { parts, length, contentType: `multipart/form-data; boundary=${boundary}` };
}

/**
 * The media type that a Blob says it has, or null. Blob-like objects can say anything, so it is checked like every value
 * that goes into a head.
 */
export function contentTypeOf(blob: BlobLike): string | null {
  const type = `${blob.type ?? ""}`;
  if (type === "") return null;
  if (!isFieldValue(type)) {
    throw new LocalProtocolError(
      "body",
      "Cannot make request: the type of a Blob in the body has characters that no field may have",
    );
  }
  return type;
}

/** Random from the system: whoever can foresee it can put a part of their own into a value. */
function randomBoundary(): string {
  return `----persistconn-${process.getBuiltinModule("node:crypto").randomBytes(18).toString("hex")}`;
}

/** Every line end as CR LF. */
function withCrlf(text: string): string {
  return text.replace(/\r\n|\r|\n/g, "\r\n");
}

/** The three characters that would end the quoted string or the line. */
function escapeQuoted(text: string): string {
  return text.replace(/["\r\n]/g, (c) => (c === '"' ? "%22" : c === "\r" ? "%0D" : "%0A"));
}
