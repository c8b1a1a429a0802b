/**
 * When what happened in one call: the shape of `response.timings`. Milliseconds since the call; null where it did not
 * happen. Made anew at each look, so an answer whose body still flows has `end: null` now and a number later. Of a
 * request that was sent again they are those of its last attempt; of a redirected one, those of its last hop. With a
 * proxy `dns` and `connect` are the proxy's, and `tls` is the last handshake: the target's, where there is one.
 */
export interface Timings {
  /** Milliseconds since the epoch at which the call began. */
  readonly startedAt: number;
  /** It asked the pool for a connection. */
  readonly queued: number | null;
  /** Name resolution ended; this, `connect` and `tls` are null where the connection was not dialed for this call. */
  readonly dns: number | null;
  /** The TCP or unix connection stood. */
  readonly connect: number | null;
  /** The TLS handshake ended. */
  readonly tls: number | null;
  /** A connection was given to it. */
  readonly assigned: number | null;
  /** The last byte of the request was handed over. */
  readonly requestSent: number | null;
  /** The first byte of a response came, 1xx included. */
  readonly firstByte: number | null;
  /** The head of the final response was read. */
  readonly headers: number | null;
  /** The last byte came off the wire. */
  readonly end: number | null;
}
