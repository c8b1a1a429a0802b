/**
 * What servers do wrong, by name. Each preset makes a Behaviour: give it to `memoryNetwork().listen()`, to
 * `scriptedPeer()`, or to `conn.serve()`. They speak HTTP/1.1 to any client, and wait on their peer's clock, so that on a
 * virtual one an hour passes at once.
 *
 * Pure but for a count of the requests of a connection, which is the connection's.
 *
 * RFC 9112 §9 (connections), §6 and §7 (framing); RFC 9110 §15.2 (1xx).
 */

import type { Behaviour, PeerConn } from "./peer-conn.ts";

/** An answer, from which the presets take what they need. */
export interface AnswerInit {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: Iterable<readonly [string, string]>;
  readonly body?: string | Uint8Array;
  /** How the end is marked; "none" sends a head only. Default "length". */
  readonly framing?: "length" | "chunked" | "close" | "none";
  /** Bytes a chunk. Default: all in one. */
  readonly chunkBytes?: number;
  /** Of a chunked body. */
  readonly trailers?: Iterable<readonly [string, string]>;
}

const OK: AnswerInit = { body: "ok" };

/** The bytes of an answer, to be sent whole, in pieces, or in part. */
export function answerBytes(init: AnswerInit = OK): Buffer {
  const { status = 200, statusText = "OK", framing = "length" } = init;
  const body = Buffer.from(init.body ?? "");
  let head = `HTTP/1.1 ${status} ${statusText}\r\n`;
  for (const [name, value] of init.headers ?? []) head += `${name}: ${value}\r\n`;
  if (framing === "length") head += `Content-Length: ${body.length}\r\n`;
  if (framing === "chunked") head += "Transfer-Encoding: chunked\r\n";
  if (framing === "close") head += "Connection: close\r\n";
  const parts: Buffer[] = [Buffer.from(`${head}\r\n`, "latin1")];
  if (framing === "chunked") parts.push(...chunks(body, init.chunkBytes ?? body.length));
  else if (framing !== "none") parts.push(body);
  if (framing === "chunked") {
    let last = "0\r\n";
    for (const [name, value] of init.trailers ?? []) last += `${name}: ${value}\r\n`;
    parts.push(Buffer.from(`${last}\r\n`, "latin1"));
  }
  return Buffer.concat(parts);
}

function* chunks(body: Buffer, bytes: number): Iterable<Buffer> {
  for (let at = 0; at < body.length; at += bytes) {
    const chunk = body.subarray(at, at + bytes);
    yield Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]);
  }
}

// ---- nothing wrong

/** Reads the whole request and answers it. */
export function answers(init: AnswerInit = OK): Behaviour {
  return async (request, conn) => {
    await request.body();
    conn.reply(answerBytes(init));
    if (init.framing === "close") conn.end();
  };
}

/** The first request of each connection gets the first behaviour, and so on; the last one serves all that follow. */
export function inTurn(...behaviours: readonly [Behaviour, ...Behaviour[]]): Behaviour {
  return (request, conn) => behaviours[Math.min(conn.requests, behaviours.length) - 1]!(request, conn); // within
}

// ---- the connection

/** Resets after so many bytes of the answer; 0: before any. */
export function resetAfter(bytes: number, init: AnswerInit = { body: "x".repeat(1000) }): Behaviour {
  return async (request, conn) => {
    await request.body();
    const all = answerBytes(init);
    conn.reply(all.subarray(0, bytes));
    await conn.drained();
    conn.reset();
  };
}

/** Resets when the head of the request is read, its body or not. */
export function resetOnRequest(): Behaviour {
  return (_request, conn) => conn.reset();
}

/** Says how long the body is, sends `bytes` of it, and ends in order. */
export function truncatedBody(bytes = 4, init: AnswerInit = { body: "0123456789" }): Behaviour {
  return async (request, conn) => {
    await request.body();
    const all = answerBytes(init);
    conn.reply(all.subarray(0, all.indexOf("\r\n\r\n") + 4 + bytes));
    conn.end();
  };
}

/**
 * Answers, says nothing of closing, and closes `afterMs` later: the idle connection that a client believes in. With 0,
 * FIN comes with the answer.
 */
export function staleKeepAlive(afterMs = 0, init: AnswerInit = OK): Behaviour {
  return async (request, conn) => {
    await request.body();
    conn.reply(answerBytes(init));
    if (afterMs > 0) await conn.wait(afterMs);
    conn.close();
  };
}

/** Answers the first request; at the second it closes the connection without a byte, as a server that was just stopping. */
export function closeCrossingRequest(init: AnswerInit = OK): Behaviour {
  return inTurn(answers(init), (_request, conn) => conn.close());
}

/** Ends its own direction with the answer, and goes on reading for ever. */
export function halfClose(init: AnswerInit = OK): Behaviour {
  return async (request, conn) => {
    await request.body();
    conn.reply(answerBytes(init));
    conn.end();
    await conn.readToEnd();
  };
}

// ---- time

/** Takes the request, and says nothing for as long as the connection lives. */
export function neverAnswers(): Behaviour {
  return async (request, conn) => {
    await request.body();
    await untilOver(conn);
  };
}

/** Reads not one byte of the body: the window fills up, and the client's write waits. */
export function neverReads(): Behaviour {
  return async (_request, conn) => {
    conn.pause();
    await conn.closed;
  };
}

/** Answers after `ms`. */
export function lateAnswer(ms: number, init: AnswerInit = OK): Behaviour {
  return async (request, conn) => {
    await request.body();
    await conn.wait(ms);
    conn.reply(answerBytes(init));
  };
}

/** Sends the answer a few bytes at a time, always soon enough for a client that only watches for silence. */
export function slowLoris({ bytes = 1, everyMs = 1_000, init = OK as AnswerInit } = {}): Behaviour {
  return async (request, conn) => {
    await request.body();
    await conn.replySlowly(answerBytes(init), { bytes, everyMs });
  };
}

// ---- answers that nobody asked for

/** Answers as soon as it has the head, with the body still under way (RFC 9112 §9.5). */
export function earlyResponse(
  init: AnswerInit = { status: 413, statusText: "Content Too Large", body: "no" },
): Behaviour {
  return (_request, conn) => {
    conn.reply(answerBytes(init));
    if (init.framing === "close") conn.end();
  };
}

/** Sends a whole answer more, `afterMs` behind the one that was asked for; 0: in the same bytes. */
export function unsolicitedResponse(afterMs = 0, extra: AnswerInit = { body: "unsolicited" }, init = OK): Behaviour {
  return async (request, conn) => {
    await request.body();
    if (afterMs === 0) {
      conn.reply(Buffer.concat([answerBytes(init), answerBytes(extra)]));
      return;
    }
    conn.reply(answerBytes(init));
    await conn.wait(afterMs);
    conn.reply(answerBytes(extra));
  };
}

/** One answer, the body of which holds another: a client that errs about the length takes it for the next. */
export function responseSplitting(smuggled: AnswerInit = { body: "smuggled" }): Behaviour {
  return async (request, conn) => {
    await request.body();
    const inner = answerBytes(smuggled).toString("latin1");
    // Two lengths that disagree, and a chunked coding besides: RFC 9112 §6.3 leaves no way to read it but to refuse.
    conn.reply(
      `HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: ${inner.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    );
  };
}

// ---- bytes that are no HTTP, or too much of it

/** Answers with these bytes. */
export function garbage(bytes: string | Uint8Array = "\x16\x03\x01 this is no HTTP\r\n\r\n"): Behaviour {
  return async (request, conn) => {
    await request.body();
    conn.reply(bytes);
  };
}

/** A header section of at least so many bytes. */
export function hugeHeaders(bytes = 1024 * 1024, fieldBytes = 1000): Behaviour {
  return flood("HTTP/1.1 200 OK\r\n", `x-filler: ${"h".repeat(fieldBytes)}\r\n`, bytes, "content-length: 0\r\n\r\n");
}

/** A chunked body whose chunk extensions are most of it: so many bytes for one byte of content each. */
export function chunkExtensionFlood(bytes = 1024 * 1024, extensionBytes = 1000): Behaviour {
  const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  return flood(head, `1;e=${"x".repeat(extensionBytes)}\r\n.\r\n`, bytes, "0\r\n\r\n");
}

/** So many 103 responses before the answer. */
export function informationalFlood(count = 10_000): Behaviour {
  const hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
  return flood("", hints, count * hints.length, answerBytes(OK).toString("latin1"));
}

/** A body without an end. It stops when the connection does. */
export function endlessBody(framing: "length" | "chunked" | "close" = "chunked", everyMs = 0): Behaviour {
  return async (request, conn) => {
    await request.body();
    const length = Number.MAX_SAFE_INTEGER;
    const how = {
      chunked: "Transfer-Encoding: chunked",
      length: `Content-Length: ${length}`,
      close: "Connection: close",
    };
    conn.reply(`HTTP/1.1 200 OK\r\n${how[framing]}\r\n\r\n`);
    const bytes = "e".repeat(FLOOD_BYTES);
    const piece = framing === "chunked" ? `${FLOOD_BYTES.toString(16)}\r\n${bytes}\r\n` : bytes;
    while (!conn.ended) {
      conn.reply(piece);
      await conn.drained();
      await conn.wait(everyMs);
    }
  };
}

/** About what one write of a flood brings. */
const FLOOD_BYTES = 16 * 1024;

/** `first`, then `again` and again until at least `bytes` are sent or the client has had enough, then `last`. */
function flood(first: string, again: string, bytes: number, last: string): Behaviour {
  return async (request, conn) => {
    await request.body();
    const times = Math.max(1, Math.ceil(FLOOD_BYTES / again.length));
    const piece = again.repeat(times);
    conn.reply(first);
    for (let sent = 0; sent < bytes && !conn.ended; sent += piece.length) {
      conn.reply(piece);
      await conn.drained();
      await conn.wait(0);
    }
    conn.reply(last);
  };
}

async function untilOver(conn: PeerConn): Promise<void> {
  await conn.readToEnd();
  conn.close();
}
