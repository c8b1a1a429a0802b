/**
 * What a reader of HTTP made of some bytes, in one form for all of them, so that two can be compared: ours, Go's, h11's,
 * node's. Text is latin1; field names are in lower case, since not every reader keeps theirs.
 */

export type Pairs = readonly (readonly [string, string])[];

export interface ReadMessage {
  /** Responses: 0 and "" for requests. */
  readonly status: number;
  readonly reason: string;
  /** 1 for HTTP/1.1. */
  readonly minor: number;
  /** Requests: "" for responses. */
  readonly method: string;
  readonly target: string;
  readonly fields: Pairs;
  readonly body: string;
  readonly trailers: Pairs;
}

export interface Reading {
  /** In order; 1xx responses before the final one. The last may be incomplete where `error` says so. */
  readonly messages: readonly ReadMessage[];
  /** Why it was refused, or that it ended too early; "" where all was well. */
  readonly error: string;
  /** Bytes behind the last message that were left alone; null where the reader does not say. */
  readonly rest: number | null;
}

export interface Oracle {
  readonly name: "go" | "h11" | "node";
  response(bytes: string, method: string): Promise<Reading>;
  /** All requests of a connection that brings these bytes and ends. */
  requests(bytes: string): Promise<Reading>;
  close(): void;
}

/**
 * In one order, whatever a reader keeps them in: by name; fields of one name stay in theirs. `without` are those that it
 * takes away or makes one of.
 */
export function comparable(fields: Pairs, without: ReadonlySet<string>): string {
  return fields
    .filter(([name]) => !without.has(name))
    .map(([name, value], i) => ({ name, value, i }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.i - b.i))
    .map(({ name, value }) => `${name}: ${value}`)
    .join("\n");
}
