/**
 * The one place that knows when a request may be sent again. Pure.
 *
 * Stricter than Go's shouldRetryRequest: "nothing was written" has one meaning (DESIGN of the write loop: `write()` was
 * not called for it, or its first write on a plain socket failed at once), and replaying after bytes were written is an
 * option.
 *
 * It cannot loop: it says yes only for a connection that was reused, the transport counts those down from the idle
 * connections of the key at the first failure, and then asks for a fresh dial, which is never retried. What was lost behind
 * another request is not counted, and is not sent behind one again.
 */

/** The facts of an attempt that failed. */
export interface FailedAttempt {
  /** The caller aborted, or the total time is up. */
  readonly cancelled: boolean;
  /** The connection had been in the pool, or was dialed for another request; false: dialed for this very request. */
  readonly reused: boolean;
  /** No byte of this request was handed to the kernel. */
  readonly nothingWritten: boolean;
  /** The peer has said that it did not look at the request (RFC 9113 §8.7, RFC 9112 §9.6). */
  readonly unprocessed?: boolean;
  /** It was given a connection behind other requests, whose end took the connection before its turn to be answered. */
  readonly behind?: boolean;
  /** Bytes of a response that came. */
  readonly bytesRead: number;
  /** The connection ended or broke; false for a time limit, a broken protocol or a body's own error. */
  readonly connectionLost: boolean;
  /** There is no body, or it can be made again. */
  readonly regenerable: boolean;
  /** Go's isReplayable, but for the body: GET, HEAD, OPTIONS, TRACE, or an Idempotency-Key. */
  readonly replayable: boolean;
  /** The option `replay`. */
  readonly replay: "nothing-written" | "replayable";
  /** The last attempt was the fresh dial that ends the series. */
  readonly exhausted: boolean;
}

/** Yes or no, and why, in words that traces and errors print. */
export interface RetryDecision {
  readonly retry: boolean;
  readonly reason: string;
}

const no = (reason: string): RetryDecision => ({ retry: false, reason });
const yes = (reason: string): RetryDecision => ({ retry: true, reason });

/**
 * Decides whether a failed attempt is followed by another one.
 *
 * @see Go net/http persistConn.shouldRetryRequest, Request.isReplayable
 */
export function shouldRetry(a: FailedAttempt): RetryDecision {
  // Nobody waits for the answer any more; a second attempt would act behind the caller's back.
  if (a.cancelled) return no("the call was cancelled");
  // A time limit, a protocol error and a failing body would fail again, or hide a fault that the caller must know.
  if (!a.connectionLost) return no("the failure was not a lost connection");
  if (a.unprocessed === true) {
    if (a.exhausted) return no("it was refused too often");
    if (!a.regenerable) return no("the body cannot be made again");
    // As good as nothing written, whatever the method and however new the connection.
    return yes("the peer has not processed it");
  }
  if (a.behind === true) {
    // No fault of this request's, and no last try of it: the transport sends it behind no other again, so this is said once.
    if (a.nothingWritten) return yes("nothing was written");
    if (a.replay !== "replayable") return no("bytes were written, behind another request");
    // Whatever is pipelined is idempotent, and no answer can have come (RFC 9112 §9.3.2).
    return yes("it was written behind another request, whose end closed the connection");
  }
  // A connection made for this request and lost at once says something about the server, not about a stale pool.
  if (!a.reused) return no("the connection was dialed for this request");
  if (a.exhausted) return no("the last attempt was the final fresh connection");
  // Sending half a body, or none, in place of the caller's would be another request.
  if (!a.regenerable) return no("the body cannot be made again");
  // The server cannot have seen any of it: any method may go again.
  if (a.nothingWritten) return yes("nothing was written");
  // A response that began proves that the server has acted on the request.
  if (a.bytesRead > 0) return no("a response had begun");
  if (a.replay !== "replayable") return no("bytes were written");
  // PUT and DELETE are idempotent by RFC 9110 §9.2.2, and yet Go does not send them twice by itself; neither do we.
  if (!a.replayable) return no("bytes were written and the request is not replayable");
  return yes("no response byte came and the request is replayable");
}
