/**
 * Field lines as offsets into one string: names and values are cut when they are asked for. Lives as long as the
 * response that it belongs to; owns the text of the head, and the offsets from the first question on.
 *
 * RFC 9112 §5 (field-line = field-name ":" OWS field-value OWS), RFC 9110 §5.5: blanks around a value are not part of it.
 */

import { cutBlanksAfter } from "./abnf.ts";
import { SPAN_NUMBERS } from "./llhttp/binding.ts";
import type { FieldLines } from "./parser-events.ts";

export class TextFieldLines implements FieldLines {
  readonly #text: string;
  /** Four numbers a field, as in SpanStore, into the text. */
  #spans: readonly number[] | null;
  readonly length: number;

  /**
   * @param text a head from its status line on
   * @param length how many fields the parser has found in it
   * @param spans where it has found them; null for a head that it has read without any leniency, whose lines say that
   *   themselves: few programs ask for fields of every answer, and a copy is made for each
   */
  constructor(text: string, length: number, spans: readonly number[] | null) {
    this.#text = text;
    this.#spans = spans;
    this.length = length;
  }

  name(index: number): string {
    const at = this.#at(index);
    const spans = this.#found();
    const start = spans[at]!;
    return this.#text.slice(start, start + spans[at + 1]!);
  }

  value(index: number): string {
    const at = this.#at(index);
    const spans = this.#found();
    const start = spans[at + 2]!;
    return cutBlanksAfter(this.#text.slice(start, start + spans[at + 3]!));
  }

  #found(): readonly number[] {
    this.#spans ??= spansOf(this.#text, this.length);
    return this.#spans;
  }

  #at(index: number): number {
    if (!(index >= 0 && index < this.length)) throw new RangeError(`no field ${index} of ${this.length}`);
    return index * SPAN_NUMBERS;
  }
}

/** The spans of a head in which each line ends with CRLF and each name with a colon, as llhttp requires of it. */
function spansOf(text: string, length: number): number[] {
  const spans: number[] = [];
  let start = text.indexOf("\r\n") + 2;
  for (let i = 0; i < length; i++) {
    const colon = text.indexOf(":", start);
    const end = text.indexOf("\r\n", colon);
    let value = colon + 1;
    while (text[value] === " " || text[value] === "\t") value++;
    spans.push(start, colon - start, value, end - value);
    start = end + 2;
  }
  return spans;
}
