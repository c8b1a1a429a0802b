/**
 * Field lines as offsets into one string: names and values are cut when they are asked for. Lives as long as the
 * response that it belongs to; owns the text of the head and a copy of the spans.
 *
 * RFC 9110 §5.5: blanks around a value are not part of it.
 */

import { SPAN_NUMBERS } from "./llhttp/binding.ts";
import type { FieldLines } from "./parser-events.ts";

const TAB = 9;
const SP = 32;

/** The end of the value that stands in `text` at [start, end), trailing blanks left out. Linear, no pattern. */
export function valueEnd(text: string, start: number, end: number): number {
  while (end > start) {
    const c = text.charCodeAt(end - 1);
    if (c !== SP && c !== TAB) break;
    end--;
  }
  return end;
}

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
    return this.#text.slice(start, valueEnd(this.#text, start, start + this.#spans[at + 3]!));
  }

  #at(index: number): number {
    if (!(index >= 0 && index < this.length)) throw new RangeError(`no field ${index} of ${this.length}`);
    return index * SPAN_NUMBERS;
  }
}
