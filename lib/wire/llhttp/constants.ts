/**
 * The numbers of llhttp 9.3.0 that we use, under its own names. They are part of its C interface and never change within
 * a version; `extract-wasm.mjs` pins the version.
 */

/** `llhttp_type_t`: we parse responses only. */
export const HTTP_RESPONSE = 2;

/** `llhttp_errno_t`: everything consumed. */
export const HPE_OK = 0;
/** A second Content-Length, equal or not. */
export const HPE_UNEXPECTED_CONTENT_LENGTH = 4;
/** A byte where no header may have it; also a line that begins with a blank (obs-fold). */
export const HPE_INVALID_HEADER_TOKEN = 10;
/** A Content-Length that is not digits and SP, or one beside a Transfer-Encoding. */
export const HPE_INVALID_CONTENT_LENGTH = 11;
/** What our `on_headers_complete` answers: stop here and keep the state. */
export const HPE_PAUSED = 21;
/** A blank between the status line and the first field; llhttp's leniency for headers skips it. */
export const HPE_UNEXPECTED_SPACE = 30;
