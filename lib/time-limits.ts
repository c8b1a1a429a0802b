/**
 * The time limits of one call, as a type of their own: the RoundTripper seam and the options both speak of them.
 */

/** Time limits that may be set for the transport and again for one call. */
export interface CallTimeLimits {
  /** The kernel takes no byte of what waits to be written. Default 60 s. TimeoutError, phase write. */
  writeTimeout?: number;
  /**
   * From the moment the request is wholly handed over to the head of the final response; absolute. Default 300 s.
   * TimeoutError, phase headers.
   */
  responseHeaderTimeout?: number;
  /** How long a body waits for `100 Continue` before it is sent all the same. Default 1 s, as Go's DefaultTransport. */
  expectContinueTimeout?: number;
  /** No byte of the body arrives, while somebody would take it. Default 300 s. TimeoutError, phase body. */
  bodyTimeout?: number;
  /**
   * Bytes of the body wait and nobody ever read, or nobody took the connection that a 101 or CONNECT handed over: warns,
   * naming the request, and closes. Default 60 s. TimeoutError, phase unread-body, for a later reader.
   */
  unreadBodyTimeout?: number;
  /**
   * Bytes of the body wait and the reader that began takes none: warns and closes. Default 10 min. TimeoutError, phase
   * stalled-reader.
   */
  stalledReaderTimeout?: number;
  /** Waiting for a connection while the request owns none, over all attempts. Default 30 s. PoolTimeoutError. */
  poolTimeout?: number;
}
