/**
 * The challenges of an answer: WWW-Authenticate, several fields or one with several challenges, which the comma of the
 * list and the comma between parameters make look alike. Pure and linear.
 *
 * A challenge that breaks the grammar is left out with all that follows it: what was meant cannot be known.
 *
 * RFC 9110 §11.2 (parameters), §11.3 (challenges), §11.6.1 (WWW-Authenticate).
 */

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** What stands in the place of parameters in some schemes; null where there is none. */
  readonly token68: string | null;
  /** By lower-case name, values without quotes and escapes. The first of a name counts. */
  readonly params: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const BLANKS = /[ \t]*/y;
const SEPARATORS = /[ \t,]*/y;
/** 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=", and then the end of the list's element. */
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
/** DQUOTE *( qdtext / quoted-pair ) DQUOTE (RFC 9110 §5.6.4). */
const QUOTED = /"((?:[^"\\]|\\[\t -~\x80-\xff])*)"/y;

/** Reads a text from left to right, one pattern at a time. */
class Reader {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get over(): boolean {
    return this.at >= this.#text.length;
  }

  /** Whether the next character is this one. */
  sees(char: string): boolean {
    return this.#text[this.at] === char;
  }

  take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }
}

/** The challenges of all fields, joined by commas as `headers.get()` joins them. */
export function parseChallenges(field: string | null): Challenge[] {
  const reader = new Reader(field ?? "");
  const challenges: Challenge[] = [];
  for (;;) {
    reader.take(SEPARATORS);
    if (reader.over) return challenges;
    const scheme = reader.take(TOKEN)?.[0].toLowerCase();
    if (scheme === undefined) return challenges;
    const params = new Map<string, string>();
    const spaced = reader.take(BLANKS)?.[0] !== "";
    const token68 = spaced ? (reader.take(TOKEN68)?.[0] ?? null) : null;
    if (token68 === null && !readParams(reader, params, spaced)) return challenges;
    challenges.push({ scheme, token68, params });
  }
}

/** The parameters of a field that has nothing else, as Authentication-Info (RFC 9110 §11.6.3). */
export function parseParams(field: string): ReadonlyMap<string, string> {
  const params = new Map<string, string>();
  const reader = new Reader(field);
  reader.take(SEPARATORS);
  return readParams(reader, params, true) ? params : new Map();
}

/**
 * Reads parameters up to the end, or to what is the scheme of the next challenge.
 *
 * @param first whether the next word may be a parameter; else a comma has to come before one
 * @returns whether the grammar holds
 */
function readParams(reader: Reader, params: Map<string, string>, first: boolean): boolean {
  for (let mayBegin = first; ; mayBegin = false) {
    const before = reader.at;
    const separated = reader.take(SEPARATORS)?.[0].includes(",");
    if (reader.over) return true;
    if (!separated && !mayBegin) return false;
    const name = reader.take(TOKEN)?.[0].toLowerCase();
    if (name === undefined) return false;
    reader.take(BLANKS);
    if (!reader.sees("=")) {
      reader.at = before; // a scheme
      return separated === true;
    }
    reader.at++;
    reader.take(BLANKS);
    const quoted = reader.take(QUOTED)?.[1]?.replace(/\\(.)/g, "$1");
    const value = quoted ?? reader.take(TOKEN)?.[0];
    if (value === undefined) return false;
    if (!params.has(name)) params.set(name, value);
  }
}
