/**
 * Headers: the standard interface over ordered raw pairs. The raw pairs are the truth (names in their case, repeats and
 * order kept); what the standard shows, lower-case, combined and sorted, is made when asked for.
 *
 * One that came off the wire stands on the parser's field lines and cuts nothing from them until it is looked at; a
 * single `get` makes no map. The Headers of a Request and of a Response are immutable; `new Headers(other)` is a copy
 * that can be changed.
 *
 * What a caller gives is converted to primitive strings exactly once, here, and the converted strings are what is
 * checked, kept and written: an object whose `toString` answers differently the second time has no second time.
 * A name is data, `__proto__` too: there are pairs, no objects with names as keys.
 *
 * RFC 9110 §5.1 (names), §5.2 (combined values), §5.5 (values); Fetch standard, "Headers class".
 */

import { LocalProtocolError } from "../errors.ts";
import { isSecretField, shownText } from "../secrets.ts";
import { isFieldValue, isToken } from "../wire/abnf.ts";
import { inspectCustom, kindOf } from "./options.ts";

/** Ordered field lines: names in their case, values without outer blanks, repeats kept. */
export interface FieldLines {
  readonly length: number;
  name(index: number): string;
  value(index: number): string;
}

export type HeaderPair = [name: string, value: string];

/** What makes a Headers: pairs, a Map, any iterable of pairs, a Headers (ours or a standard one), or a record. */
export type HeadersInit =
  | Headers
  | Iterable<readonly string[]>
  | Readonly<Record<string, string | number | readonly string[]>>;

/** Field lines over pairs. They are looked at, not copied. */
export class PairLines implements FieldLines {
  readonly #pairs: readonly (readonly [string, string])[];
  constructor(pairs: readonly (readonly [string, string])[]) {
    this.#pairs = pairs;
  }
  get length(): number {
    return this.#pairs.length;
  }
  name(index: number): string {
    return this.#pairs[index]?.[0] ?? "";
  }
  value(index: number): string {
    return this.#pairs[index]?.[1] ?? "";
  }
}

/** Makes an immutable Headers over field lines. Set by the class, which alone can. */
let overLines: (lines: FieldLines, hidden: ReadonlySet<string> | null) => Headers;

/** The pairs that a Headers shows, in their order and case. Set likewise. */
let shownPairs: (headers: Headers) => readonly HeaderPair[];

export class Headers {
  #lines: FieldLines;
  /** The lines as pairs: always there when mutable, else once somebody wanted them all. */
  #pairs: HeaderPair[] | null;
  #immutable = false;
  /** Lower-case names that only `raw` shows. */
  #hidden: ReadonlySet<string> | null = null;
  /** What iteration shows; dropped by every change. */
  #sorted: readonly HeaderPair[] | null = null;

  static {
    shownPairs = (headers) => {
      const hidden = headers.#hidden;
      const pairs = headers.#all();
      return hidden === null ? pairs : pairs.filter(([name]) => !hidden.has(name.toLowerCase()));
    };
    overLines = (lines, hidden) => {
      const headers = new Headers();
      headers.#lines = lines;
      headers.#hidden = hidden;
      headers.#pairs = null;
      headers.#immutable = true;
      return headers;
    };
  }

  /** @throws {TypeError} a name that is no token, a value with bytes that no field may have, or no pairs at all */
  constructor(init?: HeadersInit) {
    this.#pairs = init === undefined ? [] : toPairs(init, STANDARD);
    this.#lines = new PairLines(this.#pairs);
  }

  /** The pairs as received or given, in their order and case, repeats kept. */
  get raw(): readonly (readonly [name: string, value: string])[] {
    return this.#all();
  }

  append(name: string, value: string): void {
    const pair = toPair(name, value, STANDARD);
    this.#changeable().push(pair);
  }

  delete(name: string): void {
    const lower = lookup(name);
    const pairs = this.#changeable();
    let kept = 0;
    for (const pair of pairs) if (!sameName(pair[0], lower)) pairs[kept++] = pair;
    pairs.length = kept;
  }

  /** All values of a field, joined by `", "` (RFC 9110 §5.3), or null. */
  get(name: string): string | null {
    const lower = lookup(name);
    if (this.#hidden?.has(lower)) return null;
    const lines = this.#lines;
    let found: string | null = null;
    for (let i = 0; i < lines.length; i++) {
      if (!sameName(lines.name(i), lower)) continue;
      found = found === null ? lines.value(i) : `${found}, ${lines.value(i)}`;
    }
    return found;
  }

  has(name: string): boolean {
    const lower = lookup(name);
    if (this.#hidden?.has(lower)) return false;
    const lines = this.#lines;
    for (let i = 0; i < lines.length; i++) if (sameName(lines.name(i), lower)) return true;
    return false;
  }

  /** Replaces the first line of that name, in its place, and takes the others away; appends where there is none. */
  set(name: string, value: string): void {
    const pair = toPair(name, value, STANDARD);
    const lower = pair[0].toLowerCase();
    const pairs = this.#changeable();
    let kept = 0;
    let placed = false;
    for (const old of pairs) {
      if (!sameName(old[0], lower)) pairs[kept++] = old;
      else if (!placed) {
        pairs[kept++] = pair;
        placed = true;
      }
    }
    pairs.length = kept;
    if (!placed) pairs.push(pair);
  }

  /** The values of Set-Cookie, one for each line: they cannot be combined (RFC 6265 §3). */
  getSetCookie(): string[] {
    const values: string[] = [];
    const lines = this.#lines;
    for (let i = 0; i < lines.length; i++) if (sameName(lines.name(i), "set-cookie")) values.push(lines.value(i));
    return values;
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, thisArg?: unknown): void {
    if (typeof callback !== "function")
      throw new TypeError(`Headers.forEach needs a function: it got ${kindOf(callback)}`);
    for (const [name, value] of this) callback.call(thisArg, value, name, this);
  }

  /** As the standard iterates: lower-case, combined, sorted, each Set-Cookie for itself. Sees changes made meanwhile. */
  *entries(): Generator<[string, string], undefined, unknown> {
    for (let i = 0; i < this.#sort().length; i++) {
      const [name, value] = this.#sort()[i] as HeaderPair; // i is below the length of the same list
      yield [name, value];
    }
  }

  *keys(): Generator<string, undefined, unknown> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): Generator<string, undefined, unknown> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[string, string], undefined, unknown> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return "Headers";
  }

  /** @internal */
  [inspectCustom](): string {
    const shown = this.raw.map(([name, value]) => `${name}: ${isSecretField(name) ? "…" : shownText(value)}`);
    return shown.length === 0 ? "Headers {}" : `Headers { ${shown.join(", ")} }`;
  }

  #all(): HeaderPair[] {
    if (this.#pairs === null) {
      this.#pairs = cut(this.#lines);
      this.#lines = new PairLines(this.#pairs);
    }
    return this.#pairs;
  }

  #changeable(): HeaderPair[] {
    if (this.#immutable)
      throw new TypeError("Headers of a request or response are immutable: copy them by new Headers(…)");
    this.#sorted = null;
    return this.#all();
  }

  #sort(): readonly HeaderPair[] {
    if (this.#sorted !== null) return this.#sorted;
    const combined = new Map<string, string>();
    const cookies: HeaderPair[] = [];
    for (const [name, value] of this.#all()) {
      const lower = name.toLowerCase();
      if (this.#hidden?.has(lower)) continue;
      if (lower === "set-cookie") {
        cookies.push([lower, value]);
        continue;
      }
      const before = combined.get(lower);
      combined.set(lower, before === undefined ? value : `${before}, ${value}`);
    }
    // Array.prototype.sort is stable, so the cookies keep their order.
    this.#sorted = [...combined, ...cookies].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return this.#sorted;
  }
}

/**
 * An immutable Headers over lines that came off the wire, or over a request's own pairs. Nothing is cut yet.
 *
 * @param hidden lower-case names that only `raw` shows
 */
export function headersOver(lines: FieldLines, hidden: ReadonlySet<string> | null = null): Headers {
  return overLines(lines, hidden);
}

/**
 * What a caller gives as headers, as pairs of primitive strings: order, case and repeats kept, outer blanks of values
 * cut. Everything of it is read once.
 *
 * @throws {TypeError} it is nothing that has pairs, or a value is undefined or null
 * @throws {LocalProtocolError} a name is no token, or a value has bytes that no field may have; values are never shown
 */
export function normaliseHeaders(init: HeadersInit): readonly HeaderPair[] {
  return toPairs(init, STRICT); // those of a record may be of more than one request
}

/** Whether a field name, in any case, is the given lower-case one. */
export function sameName(name: string, lower: string): boolean {
  return name.length === lower.length && (name === lower || name.toLowerCase() === lower);
}

/** How strangely the input may look: the standard class cleans more, and complains in TypeErrors. */
interface Manner {
  value(name: string, value: unknown): string;
  refuse(name: string, problem: string): Error;
}

const STANDARD: Manner = {
  value: (_, value) => trim(`${value}`, isHttpSpace),
  refuse: (name, problem) => new TypeError(`Header ${quoted(name)} ${problem}`),
};

/**
 * For what goes out. undefined is a bug of the caller's (the standard would send the word), and a line end at the edge
 * of a value is refused like one inside it.
 */
const STRICT: Manner = {
  value(name, value) {
    if (value === undefined || value === null)
      throw new TypeError(`Header ${quoted(name)} has no value: it is ${value}`);
    return trim(`${value}`, isBlank);
  },
  refuse: (name, problem) =>
    new LocalProtocolError(`header ${quoted(name)}`, `Cannot make request: header ${quoted(name)} ${problem}`),
};

function toPairs(init: HeadersInit, manner: Manner): HeaderPair[] {
  if (init instanceof Headers) return shownPairs(init).map(([name, value]) => [name, value]);
  if (typeof init !== "object" || init === null) {
    throw new TypeError(`Headers must be pairs, a record or a Headers: they are ${kindOf(init)}`);
  }
  const pairs: HeaderPair[] = [];
  if (isIterable(init)) {
    for (const item of init) {
      // A string has two elements too when it has two letters; pairs are objects.
      if (typeof item !== "object" || item === null)
        throw new TypeError(`A header must be a pair: it is ${kindOf(item)}`);
      const parts = [...item];
      if (parts.length !== 2) throw new TypeError(`A header must be a pair: it has ${parts.length} parts`);
      pairs.push(toPair(parts[0], parts[1], manner));
    }
    return pairs;
  }
  if (manner === STRICT) return strictPairs(init);
  for (const name of Object.keys(init)) pushPairs(pairs, name, init[name], manner);
  return pairs;
}

function pushPairs(pairs: HeaderPair[], name: string, value: unknown, manner: Manner): void {
  if (!Array.isArray(value)) pairs.push(toPair(name, value, manner));
  else for (const one of value) pairs.push(toPair(name, one, manner)); // Node's way to repeat a field
}

/**
 * Records that passed, by their number of names: a program sends the same fields again and again, and to look at each of
 * their characters again is most of what they cost. Nobody changes the pairs of a request.
 */
const passed: ({ readonly values: readonly string[]; readonly pairs: HeaderPair[] } | null)[] = new Array(16).fill(
  null,
);

function strictPairs(init: Readonly<Record<string, unknown>>): HeaderPair[] {
  const names = Object.keys(init);
  const before = passed[names.length] ?? null;
  const pairs: HeaderPair[] = [];
  const values: string[] = [];
  let same = before !== null;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!; // i is below its length
    const value = init[name]; // read once: it may be a getter
    if (same && value === before!.values[i] && name === before!.pairs[i]![0]) continue; // it has as many
    if (same) {
      same = false;
      pairs.push(...before!.pairs.slice(0, i));
      values.push(...before!.values.slice(0, i));
    }
    if (typeof value === "string") values.push(value);
    pushPairs(pairs, name, value, STRICT);
  }
  if (same) return before!.pairs;
  if (values.length === names.length && names.length < passed.length) passed[names.length] = { values, pairs };
  return pairs;
}

function toPair(name: unknown, value: unknown, manner: Manner): HeaderPair {
  const given = `${name}`;
  if (!isToken(given)) throw manner.refuse(given, "is no valid name: it must be a token (RFC 9110 §5.1)");
  const text = manner.value(given, value);
  if (!isFieldValue(text))
    throw manner.refuse(given, "has a value with characters that no field may have (RFC 9110 §5.5)");
  return [given, text];
}

function cut(lines: FieldLines): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let i = 0; i < lines.length; i++) pairs.push([lines.name(i), lines.value(i)]);
  return pairs;
}

/** The lower-case name to look for. */
function lookup(name: unknown): string {
  const given = `${name}`;
  if (!isToken(given)) throw STANDARD.refuse(given, "is no valid name: it must be a token (RFC 9110 §5.1)");
  return given.toLowerCase();
}

function quoted(name: string): string {
  return isToken(name) ? name : JSON.stringify(name.slice(0, 64));
}

function isIterable(value: object): value is Iterable<readonly unknown[]> {
  return typeof (value as Partial<Iterable<unknown>>)[Symbol.iterator] === "function";
}

/** OWS, RFC 9110 §5.6.3. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** "HTTP whitespace byte" of the Fetch standard. */
function isHttpSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

/** Linear, where a regular expression for both ends would look at inner blanks again and again. */
function trim(text: string, isOuter: (code: number) => boolean): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOuter(text.charCodeAt(start))) start++;
  while (end > start && isOuter(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}
