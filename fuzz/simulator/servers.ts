/**
 * The servers of a run: most answer as they should, in all the ways there are; some do what servers do wrong. Each says
 * beforehand what it will answer, so that the caller can be held to every byte, and marks the connection for which it
 * does something that explains a failure.
 */

import {
  type AnswerInit,
  answerBytes,
  chunkExtensionFlood,
  earlyResponse,
  endlessBody,
  garbage,
  halfClose,
  hugeHeaders,
  informationalFlood,
  lateAnswer,
  neverAnswers,
  neverReads,
  resetAfter,
  resetOnRequest,
  responseSplitting,
  slowLoris,
  staleKeepAlive,
  truncatedBody,
} from "../../lib/testing/faults.ts";
import type { Behaviour, PeerConn } from "../../lib/testing/peer-conn.ts";
import type { PeerRequest } from "../../lib/testing/peer-request.ts";
import { patternOf } from "./bodies.ts";
import type { Invariants } from "./invariants.ts";
import type { CallRecord, Link } from "./records.ts";
import type { Settings } from "./settings.ts";
import type { World } from "./world.ts";

export interface Parts {
  readonly world: World;
  readonly settings: Settings;
  readonly links: ReadonlyMap<number, Link>;
  readonly invariants: Invariants;
  readonly callOf: (nonce: number) => CallRecord | null;
}

/** Everything that a server may do about one request, by name; those with a weight of their own come more often. */
type FaultMaker = (world: World, init: AnswerInit, record: CallRecord) => Behaviour;

const FAULTS: readonly (readonly [name: string, make: FaultMaker])[] = [
  ["reset-on-request", () => resetOnRequest()],
  ["reset-in-request", (world, _init, record) => resetInRequest(world, record)],
  ["reset-before-answer", (_world, init) => resetAfter(0, init)],
  ["reset-after", (world, init) => resetAfter(world.chance.below(answerBytes(init).length + 1), init)],
  ["reset-after", (world, init) => resetAfter(world.chance.below(answerBytes(init).length + 1), init)],
  ["truncated", (world, init) => truncatedBody(world.chance.below((init.body?.length ?? 0) + 1), init)],
  ["close-without-answer", () => (_request, conn) => conn.close()],
  ["half-close", (_world, init) => halfClose(init)],
  ["stale", (world, init) => staleKeepAlive(world.chance.pick([0, 0, 1, 30, 400]) * world.chance.next(), init)],
  ["stale", (world, init) => staleKeepAlive(world.chance.pick([0, 0, 1, 30, 400]) * world.chance.next(), init)],
  ["never-answers", () => neverAnswers()],
  ["never-reads", () => neverReads()],
  ["late", (world, init) => lateAnswer(world.between(500, 5_000), init)],
  ["slow-loris", (_world, init) => slowLoris({ bytes: 3, everyMs: 100, init })],
  ["early", (_world, init) => earlyResponse(init)],
  ["splitting", () => responseSplitting()],
  ["garbage", (world) => garbage(world.chance.pick(["\0", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nA\r\n\r\n", "xx"]))],
  ["huge-headers", () => hugeHeaders(64 * 1024)],
  ["extension-flood", () => chunkExtensionFlood(64 * 1024)],
  ["informational-flood", () => informationalFlood(40)],
  ["much-information", () => muchInformation],
  ["slow-information", () => slowInformation],
];

/** Resets in the middle of the request's body, where it has one, as it comes: chunks with their sizes. */
function resetInRequest(world: World, { body }: CallRecord): Behaviour {
  return async (_request, conn) => {
    if (body.length > 0) await conn.readBytes(1 + world.chance.below(body.length));
    conn.reset();
  };
}

/** 1xx after 1xx, slowly, and never an answer: the limit on the head is absolute. */
const slowInformation: Behaviour = async (request, conn) => {
  await request.body();
  while (!conn.ended) {
    conn.reply("HTTP/1.1 102 Processing\r\n\r\n");
    await conn.wait(400);
  }
};

/** More 1xx than any client of this run takes, and an answer behind them that is nobody's. */
const muchInformation: Behaviour = async (request, conn) => {
  await request.body();
  conn.reply("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(12));
  conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
};

export function serverOf(parts: Parts): Behaviour {
  return async (request, conn) => {
    const { world, settings, invariants } = parts;
    const link = parts.links.get(conn.channel.facts.remotePort ?? 0);
    const record = parts.callOf(Number(/^(?:http:\/\/[a-z.]+)?\/r\/(\d+)$/.exec(request.target)?.[1]));
    if (link === undefined || record === null) {
      return invariants.violate("own-body", `a server got ${JSON.stringify(request.head.slice(0, 60))}`);
    }
    if (request.method !== record.method) {
      invariants.violate("own-body", `${record.name} came as ${request.method}, and was ${record.method}`);
    }
    // The client has left, and it went elsewhere with it: two servers would say what its answer is.
    if (pipelines(settings) && (record.links.at(-1) !== link || link.saidClose)) return;
    world.log(`${link.name} serves ${record.name}`);
    link.answering = true;
    if (settings.faultEvery > 0 && world.oneIn(settings.faultEvery))
      await misbehave(parts, link, record, request, conn);
    else await behave(parts, link, record, request, conn);
    link.answering = false;
  };
}

/** A proxy that opens a tunnel to whoever is asked for, and is then that server; or that does not. */
export function proxyOf(parts: Parts): Behaviour {
  const { world, settings, links, invariants } = parts;
  const server = serverOf(parts);
  return async (request, conn) => {
    const link = links.get(conn.channel.facts.remotePort ?? 0);
    if (link === undefined || request.method !== "CONNECT" || !settings.hosts.includes(request.target.split(":")[0]!)) {
      return invariants.violate("own-body", `a proxy got ${JSON.stringify(request.head.slice(0, 60))}`);
    }
    link.tunnelled = true;
    if (world.oneIn(3)) await conn.wait(world.chance.pick([1, 10, 60]) * world.chance.next());
    if (world.oneIn(10)) conn.reply("HTTP/1.1 103 Early Hints\r\n\r\n");
    if (settings.faultEvery > 0 && world.oneIn(settings.faultEvery)) {
      const [name, refuse] = world.chance.pick(REFUSALS);
      link.fault ??= `tunnel: ${name}`;
      world.log(`${link.name} proxy: ${name}`);
      await refuse(request, conn);
      if (name !== "speaks-first") return;
      link.unsolicited = { bytes: conn.bytesSent - SPOKEN.length, answers: 0 };
    } else conn.reply(OPENED);
    await conn.serve(server);
  };
}

const OPENED = "HTTP/1.1 200 Connection Established\r\n\r\n";
const SPOKEN = "HTTP/1.1 200 OK\r\nX-Unsolicited: 1\r\nContent-Length: 4\r\n\r\noops";

/** What a proxy may do in place of opening a tunnel. */
const REFUSALS: readonly [readonly [string, Behaviour], ...(readonly [string, Behaviour])[]] = [
  ["refuses", (_request, conn) => conn.reply("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")],
  ["refuses-and-ends", refusesAndEnds],
  ["refuses-without-end", (_request, conn) => conn.reply("HTTP/1.1 502 Bad Gateway\r\n\r\nbecause")],
  ["never-answers", neverAnswers()],
  ["resets", resetOnRequest()],
  ["closes", (_request, conn) => conn.close()],
  ["half-a-head", halfAHead],
  ["garbage", garbage()],
  ["huge-headers", hugeHeaders(64 * 1024)],
  ["speaks-first", (_request, conn) => conn.reply(OPENED + SPOKEN)],
];

function refusesAndEnds(_request: PeerRequest, conn: PeerConn): void {
  conn.reply("HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\n\r\nwho are you?");
  conn.end();
}

function halfAHead(_request: PeerRequest, conn: PeerConn): void {
  conn.reply("HTTP/1.1 200 Conn");
  conn.end();
}

/** What the request gets for an answer, before it is known how. */
function draw({ world, settings }: Parts, record: CallRecord): AnswerInit {
  const { chance } = world;
  const of = chance.below(100);
  const large = of >= 100 - settings.largePercent;
  const bytes = large ? 30_000 + chance.below(90_000) : of < 15 ? 0 : of < 90 ? chance.below(300) : chance.below(8_000);
  const status = chance.pick([200, 200, 200, 200, 200, 201, 404, 500, 204, 304]);
  const bodiless = status === 204 || status === 304;
  const framing = bodiless
    ? "none"
    : chance.pick(["length", "length", "length", "chunked", "chunked", "close"] as const);
  const headers: [string, string][] = [["X-Nonce", `${record.nonce}`]];
  if (world.oneIn(12)) headers.push(["Connection", "close"]);
  if (world.oneIn(12)) headers.push(["Keep-Alive", `timeout=${chance.below(4)}`]);
  return {
    status,
    statusText: "As Drawn",
    headers,
    framing,
    body: bodiless ? "" : patternOf(record.nonce, "answer", bytes),
    chunkBytes: 1 + chance.below(Math.max(1, bytes)),
    ...(framing === "chunked" && world.oneIn(3) ? { trailers: [["X-Sum", "1"]] as const } : {}),
  };
}

function announce(link: Link, record: CallRecord, init: AnswerInit): void {
  link.untilClose = init.framing === "close";
  link.saidClose ||= init.framing === "close" || [...(init.headers ?? [])].some(([, value]) => value === "close");
  const body = Buffer.from(init.body ?? "");
  record.answer = { status: init.status ?? 200, body, framing: init.framing ?? "length" };
}

async function behave(parts: Parts, link: Link, record: CallRecord, request: PeerRequest, conn: PeerConn) {
  const { world, invariants } = parts;
  if (request.field("expect") !== null && !world.oneIn(3)) conn.reply("HTTP/1.1 100 Continue\r\n\r\n");
  const body = await request.body();
  if (!body.equals(record.body)) {
    invariants.violate("own-body", `${record.name} came with ${body.length} bytes, of ${record.body.length}`);
  }
  if (conn.pending !== "" && !link.outOfStep && !pipelines(parts.settings)) {
    invariants.violate("one-exchange", `${link.name} got ${conn.pending.length} bytes behind ${record.name}`);
  }
  const init = draw(parts, record);
  announce(link, record, init);
  if (world.oneIn(3)) await conn.wait(world.chance.pick([1, 10, 60]) * world.chance.next());
  if (world.oneIn(10)) conn.reply("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  const headOnly = request.method === "HEAD";
  const all = answerBytes(init);
  const bytes = headOnly ? all.subarray(0, all.indexOf("\r\n\r\n") + 4) : all;
  if (world.oneIn(8))
    await conn.replySlowly(bytes, { bytes: 1 + world.chance.below(bytes.length), everyMs: world.chance.below(20) });
  else conn.reply(bytes);
  const closes = link.saidClose;
  if (closes && (!headOnly || world.oneIn(2))) conn.end();
  if (parts.settings.faultEvery > 0) meanwhile(parts, link, conn);
}

/** What a server does to a connection that waits for a request: the first, or the next. */
export function meanwhile({ world, settings }: Pick<Parts, "world" | "settings">, link: Link, conn: PeerConn): void {
  if (!world.oneIn(settings.faultEvery)) return;
  const requests = conn.requests;
  const answers = link.tunnelled ? requests - 1 : requests;
  const what = world.chance.pick(["close", "close", "reset", "unsolicited", "at-once", "408"]);
  const at = what === "at-once" ? 0 : world.chance.pick([0, 1, 30, 400]) * world.chance.next();
  const act = () => {
    if (conn.ended) return;
    const unasked = what !== "close" && what !== "reset";
    if (unasked && (link.untilClose || (link.answering && conn.requests > requests))) return;
    link.fault ??= what;
    world.log(`${link.name} server: ${what}${conn.requests > requests ? ", crossing a request" : ""}`);
    if (what === "close") conn.close();
    else if (what === "reset") conn.reset();
    else {
      link.unsolicited ??= { bytes: conn.bytesSent, answers };
      const status = what === "408" ? "408 Request Timeout" : "200 OK";
      conn.reply(`HTTP/1.1 ${status}\r\nX-Unsolicited: 1\r\nContent-Length: 4\r\n\r\noops`);
    }
  };
  if (at === 0) act();
  else world.after(at, act);
}

function pipelines({ transport }: Settings): boolean {
  return (transport.pipelining ?? 1) > 1;
}

async function misbehave(parts: Parts, link: Link, record: CallRecord, request: PeerRequest, conn: PeerConn) {
  const { world, settings } = parts;
  const [name, make] = world.chance.pick(FAULTS as readonly [(typeof FAULTS)[0], ...(typeof FAULTS)[0][]]);
  const drawn = draw(parts, record);
  // A head without a body is cut off elsewhere; what is broken here has one.
  const init = request.method === "HEAD" ? { ...drawn, framing: "none" as const, body: "" } : drawn;
  announce(link, record, init);
  link.fault ??= name;
  world.log(`${link.name} server: ${name}`);
  // The answer too many is the next one's, where that is asked for already.
  if (name === "splitting" && pipelines(settings)) link.outOfStep = true;
  // About these bodies nothing is promised.
  if (name === "extension-flood") record.answer = { status: 200, body: Buffer.alloc(0), framing: "endless" };
  if (world.oneIn(12)) {
    record.answer = { status: 200, body: Buffer.alloc(0), framing: "endless" };
    const framing = world.chance.pick(["length", "chunked", "close"] as const);
    link.saidClose ||= framing === "close";
    await endlessBody(framing, 20)(request, conn);
    return;
  }
  await make(world, init, record)(request, conn);
}
