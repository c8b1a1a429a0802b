/**
 * Writes request heads for one transport, and remembers the last few: most heads differ from an earlier one in their
 * target alone, and then nothing but the target has to be checked and put in.
 *
 * A template is made by `writeHead` from a head that passed all its checks, and is used only for a head that is equal to
 * it in every part but the target; so each byte that goes out was checked, by `writeHead` or here.
 *
 * RFC 9112 §3 (request line).
 */

import { isRequestTarget } from "./abnf.ts";
import { type OutgoingHead, type WritableHead, type WriterOptions, writeHead } from "./request-writer.ts";

/** A head that was written, and what of its text does not depend on its target. */
interface Template {
  readonly head: OutgoingHead;
  readonly written: WritableHead;
  /** From the blank before the version to the end. */
  readonly rest: string;
}

/** A power of two; a program has few kinds of requests, and a miss costs no more than no templates at all. */
const TEMPLATES = 16;

export class HeadWriter {
  readonly #options: WriterOptions;
  readonly #templates: (Template | null)[] = new Array<Template | null>(TEMPLATES).fill(null);

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** @throws {LocalProtocolError} see `writeHead` */
  write(head: OutgoingHead): WritableHead {
    const at = placeOf(head);
    const template = this.#templates[at] ?? null;
    if (template !== null && sameButTarget(template.head, head) && isOriginForm(head.target)) {
      const { framing, close, encodingAsked, expectContinue, upgrade } = template.written;
      const text = `${head.method} ${head.target}${template.rest}`;
      return { text, framing, close, encodingAsked, expectContinue, upgrade };
    }
    const written = writeHead(head, this.#options);
    if (isOriginForm(head.target) && !this.#options.absoluteForm) {
      const rest = written.text.slice(head.method.length + 1 + head.target.length);
      this.#templates[at] = { head, written, rest };
    }
    return written;
  }
}

/** `*`, and the forms that carry the authority, are left to `writeHead`. */
function isOriginForm(target: string): boolean {
  return target.charCodeAt(0) === SLASH && isRequestTarget(target);
}

const SLASH = 47;

function placeOf({ method, fields, authority, bodyLength }: OutgoingHead): number {
  return (method.length + 3 * fields.length + 5 * authority.length + 7 * (bodyLength ?? 0)) & (TEMPLATES - 1);
}

/** The scheme stands in absolute-form only, of which no template is made. */
function sameButTarget(a: OutgoingHead, b: OutgoingHead): boolean {
  return (
    a.method === b.method &&
    a.authority === b.authority &&
    a.bodyLength === b.bodyLength &&
    a.contentType === b.contentType &&
    a.expectContinue === b.expectContinue &&
    a.trailerNames === b.trailerNames &&
    sameFields(a.fields, b.fields)
  );
}

function sameFields(a: OutgoingHead["fields"], b: OutgoingHead["fields"]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const field = a[i]!; // i is below both lengths
    const other = b[i]!;
    if (field !== other && (field[0] !== other[0] || field[1] !== other[1])) return false;
  }
  return true;
}
