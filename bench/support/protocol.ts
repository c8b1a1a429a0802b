/**
 * What the bench and its processes say to each other: one JSON object a line, an order in, an answer out, never two
 * orders at once. The Go program speaks the same lines (go/main.go mirrors these names).
 * The end of the input means: exit. So no process outlives the bench, not even one that was killed.
 */

/** What a contestant is to do, over and over: the same for every contestant of a scenario. */
export interface Target {
  readonly method: "GET" | "POST";
  /** The whole URL; its path is the number of body bytes the responder sends back. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly tls: boolean;
  /** Header fields every contestant adds to its own. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the request body; 0 for none. */
  readonly requestBytes: number;
  /** Bytes of the response body; an answer of another length is an error. */
  readonly responseBytes: number;
  /** Bytes of the whole response, for the contestant that does not parse. */
  readonly replyBytes: number;
  /** Requests in flight at once. */
  readonly workers: number;
  /** file: URL of our built entry point. */
  readonly persistconn: string;
}

export type Order =
  | { readonly op: "open"; readonly target: Target }
  /** Runs for `millis`, and on until `requests` are done, but never for more than four times `millis`. */
  | { readonly op: "warm"; readonly millis: number; readonly requests: number }
  | { readonly op: "run"; readonly count: number };

/** CPU and time of one measured window; CPU is user + sys of the whole process. */
export interface Window {
  readonly count: number;
  readonly wallMs: number;
  readonly userUs: number;
  readonly sysUs: number;
  /** Absent where more than one worker ran. */
  readonly p50Us?: number;
  readonly p99Us?: number;
}

/** What the responder has done since it started. */
export interface ResponderStats {
  readonly requests: number;
  readonly requestBodyBytes: number;
  /** Requests it could not read; any is an error. */
  readonly refused: number;
  readonly userUs: number;
  readonly sysUs: number;
  readonly wallMs: number;
}
