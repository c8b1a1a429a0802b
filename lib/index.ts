/** The public names; nothing is defined here. */

export { type AddressKind, addressKind, denyLinkLocalAddresses, denyPrivateAddresses } from "./address-policy.ts";
export { errSkipAltProtocol } from "./alternates.ts";
export { type CallInit, type CallOptions, Client, type ClientOptions, type RequestInput } from "./client.ts";
export { ClientConn, type ClientConnOptions } from "./client-conn.ts";
export type { Clock, Deadline } from "./clock.ts";
export type { TlsFacts } from "./conn/conduit.ts";
export type { UserDial, UserDialTarget } from "./conn/dial.ts";
export type { TlsOptions } from "./conn/tls.ts";
export { unixDialer } from "./conn/unix.ts";
export type { UserDialed } from "./conn/user-dial.ts";
export type { CookieJar } from "./cookies.ts";
export { defaultClient, del, fetch, get, head, options, patch, post, put, request } from "./default-client.ts";
export {
  BodyUsedError,
  type CloseReason,
  ConnectionClosedError,
  DecompressError,
  type DialAttempt,
  DialError,
  type ErrorFacts,
  HeaderLimitError,
  HttpError,
  IncompleteBodyError,
  InvariantError,
  LocalProtocolError,
  type Phase,
  type PinMismatch,
  PoolTimeoutError,
  type ProxyAnswer,
  ProxyError,
  RedirectError,
  RemoteProtocolError,
  TimeoutError,
  TlsError,
  TooManyRedirectsError,
  TransportClosedError,
} from "./errors.ts";
export { createFetch } from "./fetch/create-fetch.ts";
export type { Fetch, FetchInit, FetchInput } from "./fetch/fetch.ts";
export { type ClientTrace, clientTrace, type GotConnInfo } from "./httptrace.ts";
export type { Inspector, InspectorOptions } from "./inspector.ts";
export { Headers, type HeadersInit } from "./message/headers.ts";
export { Request, type RequestChanges, type RequestInit, type RequestLike } from "./message/request.ts";
export type { BodyInit, BodySourceInit, FormInit } from "./message/request-body.ts";
export type { RequestTrailers, TrailersInit } from "./message/request-trailers.ts";
export { type ConnectionInfo, Response, type ResponseInit } from "./message/response.ts";
export type { Framing } from "./message/response-backing.ts";
export type { Timings } from "./message/timings.ts";
export type {
  NextProtocol,
  NextProtocolConn,
  NextProtocolConnection,
  NextProtocolSettings,
} from "./next-protocol.ts";
export type { CallTimeLimits, ProxyConnectResponse, ProxyOption, TransportOptions } from "./options.ts";
export type { LearnedIdle } from "./pool/idle-lessons.ts";
export {
  type Environment,
  environmentProxy,
  explainProxy,
  type ProxyExplanation,
  proxyFromEnvironment,
} from "./proxy/environment.ts";
export { type ReadResponseOptions, type ResponseInput, readResponse } from "./read-response.ts";
export {
  type CheckRedirect,
  type CheckRedirectResult,
  errUseLastResponse,
  type RedirectOptions,
} from "./redirect-options.ts";
export type { CallDeadline, Information, RoundTripCall, RoundTripper } from "./round-tripper.ts";
export type {
  AskedFields,
  TraceDetail,
  TraceEvent,
  TraceFields,
  TraceGroup,
  TraceListener,
  TraceOption,
} from "./trace.ts";
export { Transport, type TransportStats } from "./transport.ts";
export type { LenientFlag, LenientOptions } from "./wire/lenient.ts";
export { writeRequest } from "./write-request.ts";
