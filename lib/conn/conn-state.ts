/**
 * The states of the two halves of a connection, as tables, and the rule that joins them.
 *
 * The read loop moves the read half and nothing else; the write loop moves the write half and nothing else; only
 * `PersistConn` recycles or closes both. A missing entry is our mistake, never the peer's: to make such a move throws, and the
 * boundary round every callback makes that one closed connection and one failed request.
 *
 * What the tables cannot say: the two halves do not wait for each other. A response may be read to its end while the
 * request is still being written (RFC 9112 §9.3), and `fate()` says what then becomes of the connection.
 */

import { InvariantError } from "../errors.ts";

/** What the read half is doing. `idle` waits for the first byte of a response, asked for or not. */
export type ReadState = "idle" | "head" | "body" | "done" | "closed";
export type ReadEvent = "firstByte" | "head" | "end" | "recycle" | "close";

/** What the write half is doing. `stopped`: the answer made the rest of the request pointless (RFC 9112 §9.5). */
export type WriteState = "idle" | "writing" | "done" | "stopped" | "closed";
export type WriteEvent = "begin" | "follow" | "end" | "stop" | "recycle" | "close";

type Moves<S extends string, E extends string> = Readonly<Record<S, Readonly<Partial<Record<E, S>>>>>;

/** Moves of the read half. A 1xx head moves nothing: the final head is still to come. */
export const READ_MOVES: Moves<ReadState, ReadEvent> = {
  idle: { firstByte: "head", close: "closed" },
  head: { head: "body", close: "closed" },
  body: { end: "done", close: "closed" }, // one without a body goes through here too, and so does one that hands over
  done: { recycle: "idle", close: "closed" },
  closed: { close: "closed" },
};

/** Moves of the write half. */
export const WRITE_MOVES: Moves<WriteState, WriteEvent> = {
  idle: { begin: "writing", close: "closed" },
  writing: { end: "done", stop: "stopped", close: "closed" },
  // Only PersistConn recycles: both halves done, reuse allowed. Only it lets a request follow another that waits for its
  // answer (pipelining), and none that has a body.
  done: { follow: "writing", recycle: "idle", close: "closed" },
  stopped: { close: "closed" }, // half a request is on the wire: nothing can follow it
  closed: { close: "closed" },
};

/**
 * A state with the moves that its table gives it, each at its own place: a loop moves several times a request, and two
 * looks by name cost ten times as much as one at a place.
 */
export type State<S extends string, E extends string> = { readonly name: S } & {
  /** The state after this event. Reading it throws an InvariantError where the table has no such move. */
  readonly [Event in E]: State<S, E>;
};

/** The states of a table as a graph. */
function statesOf<S extends string, E extends string>(half: string, table: Moves<S, E>): Record<S, State<S, E>> {
  const names = Object.keys(table) as S[];
  const events = [...new Set(names.flatMap((name) => Object.keys(table[name]) as E[]))];
  // Filled in below; each is whole before anybody sees it.
  const states = Object.fromEntries(names.map((name) => [name, { name }])) as unknown as Record<S, State<S, E>>;
  for (const name of names) {
    for (const event of events) {
      const next = table[name][event];
      const refuse = () => {
        throw new InvariantError(`Cannot move the ${half} half by "${event}": it is ${name}`);
      };
      Object.defineProperty(states[name], event, next === undefined ? { get: refuse } : { value: states[next] });
    }
    Object.freeze(states[name]);
  }
  return states;
}

export const READ_STATES: Record<ReadState, State<ReadState, ReadEvent>> = statesOf("read", READ_MOVES);
export const WRITE_STATES: Record<WriteState, State<WriteState, WriteEvent>> = statesOf("write", WRITE_MOVES);

/**
 * What becomes of a connection whose response was read to its end.
 *
 * - `recycle`: the request was written to its end as well, and nobody forbids reuse.
 * - `linger`: the request is still being written. The write loop may only be a moment behind (the answer came in the
 *   same poll as the last acknowledgement), so it gets a little time; longer, and the server has answered without
 *   reading, so that the rest of the body would be taken for the next request (Go issue 7569).
 * - `next`: others stand behind it in the pipeline, and the oldest has its turn. They have no bodies, so it is no matter
 *   whether the last of them is written by now.
 * - `close`: the message, the caller or the peer said so, or half a request is on the wire.
 *
 * @param behind whether requests wait behind this one's answer
 */
export function fate(write: WriteState, reusable: boolean, behind: boolean): "recycle" | "linger" | "next" | "close" {
  if (!reusable) return "close";
  switch (write) {
    case "done":
      return behind ? "next" : "recycle";
    case "writing":
      return behind ? "next" : "linger";
    default:
      return "close";
  }
}
