/**
 * Field lines as offsets into one string: names and values are cut when they are asked for. Lives as long as the
 * response that it belongs to; owns the text of the head and a copy of the spans.
 *
 * RFC 9110 §5.5: blanks around a value are not part of it.
 */

import { cutBlanksAfter } from "./abnf.ts";
import { SPAN_NUMBERS } from "./llhttp/binding.ts";
import type { FieldLines } from "./parser-events.ts";

/** Four numbers a field, as in SpanStore, into `text`. */
export class TextFieldLines implements FieldLines {
  readonly #text: string;
  readonly #spans: readonly number[];
  readonly length: number;

  constructor(text: string, spans: readonly number[], length: number) {
    this.#text = text;
    this.#spans = spans;
    this.length = length;
  }

  name(index: number): string {
    const at = this.#at(index);
    const start = this.#spans[at]!;
    return this.#text.slice(start, start + this.#spans[at + 1]!);
  }

  value(index: number): string {
    const at = this.#at(index);
    const start = this.#spans[at + 2]!;
    return cutBlanksAfter(this.#text.slice(start, start + this.#spans[at + 3]!));
  }

  #at(index: number): number {
    if (!(index >= 0 && index < this.length)) throw new RangeError(`no field ${index} of ${this.length}`);
    return index * SPAN_NUMBERS;
  }
}
