/**
 * What the process says at its end: one number per kind of failure, curl's number where curl has one.
 *
 * Pure. Looks at `code`, `phase` and the cause's code alone, so that an error means the same here whoever made it.
 */

/** Every exit code with what it says; `--help` prints this table. */
export const EXIT_CODES = {
  ok: [0, "done"],
  unsupportedScheme: [1, "the URL's scheme is not http or https"],
  usage: [2, "the command line makes no sense"],
  badUrl: [3, "the URL cannot be parsed"],
  proxyDns: [5, "the proxy's name could not be resolved"],
  dns: [6, "the host's name could not be resolved"],
  connect: [7, "no connection could be made"],
  remoteProtocol: [8, "the server broke HTTP/1.1"],
  partial: [18, "the answer ended before its body was complete"],
  httpStatus: [22, "the status was 400 or above (with -f)"],
  output: [23, "the output could not be written"],
  input: [26, "a file or stdin could not be read"],
  timeout: [28, "a time limit was reached"],
  tls: [35, "the TLS handshake failed"],
  localProtocol: [43, "the request cannot be sent as it is"],
  redirect: [47, "with -L: too many redirects, or one that cannot be followed"],
  empty: [52, "the server closed without an answer"],
  send: [55, "the connection broke while the request was sent"],
  receive: [56, "the connection broke while the answer was received"],
  certificate: [60, "the server's certificate cannot be trusted"],
  encoding: [61, "the answer's content encoding is broken, or grows out of proportion"],
  caFile: [77, "the file of --cacert could not be read"],
  bug: [90, "a mistake of persistconn itself"],
  proxy: [97, "the proxy refused, failed or cannot be used"],
  tooLarge: [100, "the answer's head exceeds a limit"],
  interrupted: [130, "interrupted (SIGINT)"],
} as const satisfies Record<string, readonly [code: number, meaning: string]>;

export type ExitKind = keyof typeof EXIT_CODES;

/** The number of a kind. */
export function exitCode(kind: ExitKind): number {
  return EXIT_CODES[kind][0];
}

/** The facts that decide; an HttpError has them all, a caller's own error may have none. */
interface Facts {
  readonly code?: unknown;
  readonly name?: unknown;
  readonly phase?: unknown;
  readonly field?: unknown;
  readonly proxy?: unknown;
  readonly bytesRead?: unknown;
  readonly cause?: unknown;
}

const BY_CODE: Record<string, ExitKind> = {
  ERR_HTTP_REMOTE_PROTOCOL: "remoteProtocol",
  ERR_HTTP_HEADER_LIMIT: "tooLarge",
  ERR_HTTP_INCOMPLETE_BODY: "partial",
  ERR_HTTP_DECOMPRESS: "encoding",
  ERR_HTTP_TIMEOUT: "timeout",
  ERR_HTTP_PROXY: "proxy",
  ERR_HTTP_POOL_TIMEOUT: "timeout",
  ERR_HTTP_REDIRECT: "redirect",
  ERR_HTTP_TOO_MANY_REDIRECTS: "redirect",
  ERR_HTTP_BODY_USED: "localProtocol",
  ERR_HTTP_TRANSPORT_CLOSED: "bug",
  ERR_HTTP_INVARIANT: "bug",
};

/** Says what kind of failure an error is. What nobody foresaw is a mistake of ours. */
export function exitKindOf(error: unknown): ExitKind {
  if (typeof error !== "object" || error === null) return "bug";
  const facts = error as Facts; // every field is looked at as unknown
  const code = String(facts.code);
  if (code === "ERR_HTTP_LOCAL_PROTOCOL") return facts.field === "url" ? "badUrl" : "localProtocol";
  if (code === "ERR_HTTP_DIAL") {
    if (facts.phase !== "dns") return "connect";
    return facts.proxy === undefined ? "dns" : "proxyDns";
  }
  if (code === "ERR_HTTP_TLS") return isCertificateProblem(facts.cause) ? "certificate" : "tls";
  if (code === "ERR_HTTP_CONNECTION_CLOSED") {
    if (facts.phase === "write") return "send";
    return typeof facts.bytesRead === "number" && facts.bytesRead > 0 ? "receive" : "empty";
  }
  const kind = BY_CODE[code];
  if (kind !== undefined) return kind;
  // AbortSignal.timeout() rejects with the platform's own error, which has a name and no code of ours.
  if (facts.name === "TimeoutError") return "timeout";
  return "bug";
}

/** Codes of certificate verification, as node:tls names them: OpenSSL's X509_V_ERR_… and the check of the name. */
const CERTIFICATE =
  /^(CERT_|CRL_|UNABLE_TO_(GET|VERIFY|DECODE|DECRYPT)_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_(CA|PURPOSE)|PATH_LENGTH_|HOSTNAME_MISMATCH|ERROR_IN_CERT_|ERR_TLS_CERT_)/;

function isCertificateProblem(cause: unknown): boolean {
  for (let depth = 0, at = cause; depth < 4 && typeof at === "object" && at !== null; depth++) {
    const facts = at as Facts; // looked at as unknown
    if (typeof facts.code === "string" && CERTIFICATE.test(facts.code)) return true;
    at = facts.cause;
  }
  return false;
}

/** The rows of `--help`. */
export function exitRows(): readonly (readonly [code: string, meaning: string])[] {
  return Object.values(EXIT_CODES).map(([code, meaning]) => [String(code), meaning]);
}
