/**
 * What `writeRequest` writes is read by servers that share no code with us (Go's http.ReadRequest, h11, node:http) as the
 * very request that was asked for: method, target, fields, body, trailers; and a second request behind it is found where
 * it begins. Whatever a caller gives, he gets those bytes or an error before there is any: never another request.
 */

import http from "node:http";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { HttpError, InvariantError } from "../lib/errors.ts";
import { Request, type RequestInit } from "../lib/message/request.ts";
import { arbitraries } from "../lib/testing/arbitraries/arbitraries.ts";
import type { RequestMessage } from "../lib/testing/arbitraries/requests.ts";
import { writeRequest } from "../lib/write-request.ts";
import { nodeOracle } from "./oracles/node-oracle.ts";
import { goOracle, h11Oracle } from "./oracles/process-oracle.ts";
import { comparable, type Oracle, type Pairs } from "./oracles/reading.ts";
import { runs } from "./runs.ts";

const FILE = "request-oracles";
const arb = arbitraries(fc);
const messages = arb.requestMessages();

const oracles: Record<Oracle["name"], Oracle | string> = { go: goOracle(), h11: h11Oracle(), node: nodeOracle() };
for (const [name, oracle] of Object.entries(oracles)) {
  if (typeof oracle === "string") console.warn(`${FILE}: goes without ${name}: ${oracle}`);
}
afterAll(() => {
  for (const oracle of Object.values(oracles)) if (typeof oracle !== "string") oracle.close();
});

/** How the body is given: all at once, or in pieces by a factory of unknown length. */
function bodyOf({ framing, body, chunks }: RequestMessage): RequestInit {
  if (framing === "none") return {};
  if (framing === "length") return { body: Buffer.from(body, "latin1") };
  return {
    body: async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk, "latin1");
    },
  };
}

function requestOf(message: RequestMessage): Request {
  const { method, host, target, fields, trailers } = message;
  return new Request(`http://${host}/`, {
    method,
    target,
    headers: fields,
    ...bodyOf(message),
    ...(trailers.length === 0 ? {} : { trailers: trailersOf(trailers) }),
  });
}

function trailersOf(trailers: Pairs) {
  return { names: [...new Set(trailers.map(([name]) => name))], values: () => trailers };
}

async function written(request: Request): Promise<string> {
  let text = "";
  for await (const bytes of writeRequest(request)) text += Buffer.from(bytes).toString("latin1");
  return text;
}

/** Fields that we add; and those that a reader takes away or changes. */
const OURS = new Set(["host", "user-agent", "accept", "content-length", "transfer-encoding", "trailer", "connection"]);

/** Those, and Expect, which is ours where it is asked for as an option. */
const HOSTILE = new Set([...OURS, "expect"]);

const lower = (pairs: Pairs): Pairs => pairs.map(([name, value]) => [name.toLowerCase(), value]);

/** Expects that the oracle reads exactly these requests in these bytes. */
async function expectRead(oracle: Oracle, bytes: string, expected: readonly RequestMessage[]): Promise<void> {
  const { messages: read, error } = await oracle.requests(bytes);
  expect(error).toBe("");
  expect(read.length).toBe(expected.length);
  for (const [i, message] of expected.entries()) {
    const { method, target, body, fields, trailers, minor } = read[i]!;
    expect({ method, target, body, minor }).toEqual({
      method: message.method,
      target: message.target,
      body: message.body,
      minor: 1,
    });
    expect(comparable(fields, OURS)).toBe(comparable(lower(message.fields), OURS));
    expect(comparable(trailers, new Set())).toBe(comparable(lower(message.trailers), new Set()));
    // A URL does not keep the port that its scheme implies (RFC 9110 §4.2.3).
    const host = new URL(`http://${message.host}/`).host;
    const hosts = fields.filter(([name]) => name === "host").map(([, value]) => value);
    expect([[message.host], [host]]).toContainEqual(hosts);
  }
}

describe.each(["go", "h11", "node"] as const)("%s", (name) => {
  const oracle = oracles[name];
  const missing = typeof oracle === "string";
  const readable = messages.filter((message) => refusal(name, message) === null);

  test.skipIf(missing)("a well-formed request of the arbitraries is read as it was meant", async () => {
    if (missing) return;
    await fc.assert(
      fc.asyncProperty(readable, async (message) => {
        await expectRead(oracle, message.bytes, [message]);
      }),
      runs(FILE),
    );
  });

  test.skipIf(missing)(
    "what writeRequest() writes is read as the request that was given, and so is the one behind it",
    async () => {
      if (missing) return;
      await fc.assert(
        fc.asyncProperty(fc.array(readable, { minLength: 1, maxLength: 3 }), async (some) => {
          const parts = await Promise.all(some.map((message) => written(requestOf(message))));
          await expectRead(oracle, parts.join(""), some);
        }),
        runs(FILE, 2),
      );
    },
  );

  test.skipIf(missing)("whatever is given, it is one request with that method and target, or an error", async () => {
    if (missing) return;
    await fc.assert(
      fc.asyncProperty(hostileInits(), async ([url, init]) => {
        let text: string;
        let request: Request;
        try {
          request = new Request(url, init);
          text = await written(request);
        } catch (error) {
          // An InvariantError would be the last check before bytes leave, which nothing should ever reach.
          if (error instanceof InvariantError || !(error instanceof HttpError || error instanceof TypeError))
            throw error;
          return;
        }
        const { messages: read, error } = await oracle.requests(text);
        const { target, pairs, destination } = request;
        const method = init.method ?? "GET";
        if (refusal(name, { method, target, bytes: text }) !== null) return;
        expect(error, JSON.stringify(text)).toBe("");
        expect(read.map((one) => [one.method, one.target])).toEqual([[method, target]]);
        expect(comparable(read[0]!.fields, HOSTILE)).toBe(comparable(lower(pairs), HOSTILE));
        const host = pairs.find(([each]) => each.toLowerCase() === "host")?.[1] ?? destination.authority;
        // Go takes the target of a CONNECT for its Host.
        if (name === "go" && method === "CONNECT") return;
        expect(read[0]!.fields.filter(([each]) => each === "host")).toEqual([["host", host]]);
      }),
      runs(FILE, 2),
    );
  });
});

/** What this server does not read, and why it may; null where it must. */
function refusal(name: Oracle["name"], { method, target, bytes }: Pick<RequestMessage, "method" | "target" | "bytes">) {
  if (name === "node" && !http.METHODS.includes(method)) {
    return "a server may know its methods only (RFC 9110 §9.1: 501); llhttp has them in a list";
  }
  if (name === "node" && /\n(?:content-length|transfer-encoding):[^\r]*\t[\t ]*\r/i.test(bytes)) {
    return "llhttp takes a TAB behind a framing field's value for a part of it (RFC 9110 §5.5 has it cut)";
  }
  if (name === "go" && /%(?![0-9a-f]{2})/i.test(target)) {
    return "% without two digits is no URI (RFC 3986 §2.1); we send what WHATWG's parser lets pass, as browsers do";
  }
  return null;
}

/** Anything in any place, aimed at the places where other clients were led to write what they should not have. */
function hostileInits(): fc.Arbitrary<readonly [string, RequestInit]> {
  const bad = fc.constantFrom(
    "\r\nX: y",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    "\u010a",
    "\u0d0a",
    "\x7f",
    ":",
    " HTTP/1.1\r\n\r\nGET /evil",
    "#f",
    "é",
    "%0d%0a",
  );
  const spoiled = (good: fc.Arbitrary<string>) =>
    fc.oneof(
      { weight: 14, arbitrary: good }, // of several wrong things only the first would be met
      {
        weight: 1,
        arbitrary: fc
          .tuple(good, bad, fc.nat())
          .map(([g, b, at]) => g.slice(0, at % (g.length + 1)) + b + g.slice(at % (g.length + 1))),
      },
    );
  const names = fc.oneof(
    fc.constantFrom(
      "Host",
      "Content-Length",
      "Transfer-Encoding",
      "Connection",
      "TE",
      "Trailer",
      "Upgrade",
      "Expect",
      "User-Agent",
    ),
    { weight: 4, arbitrary: arb.fieldNames() },
  );
  const values = fc.oneof(
    fc.constantFrom("0", "3", "5", "chunked", "gzip, chunked", "close", "trailers", "100-continue", "a", "a, b", ""),
    arb.fieldValues(),
  );
  const field = fc.tuple(spoiled(names), spoiled(values));
  const url = fc.oneof(
    { weight: 4, arbitrary: fc.constant("http://a/") },
    {
      weight: 1,
      arbitrary: spoiled(
        fc.constantFrom("http://a/x", "http://u:p@a:81/?q#f", "http://[::1]/", "https://b.example/%0d%0a"),
      ),
    },
  );
  const body = fc.constantFrom<RequestInit>(
    {},
    {},
    { body: "abc" },
    { body: "" },
    { body: () => [Buffer.from("abc")] },
    { form: { a: "\r\n" } },
    { json: { a: "\r\n" } },
  );
  const init = fc.record(
    {
      method: spoiled(fc.constantFrom("GET", "POST", "OPTIONS", "HEAD", "TRACE", "CONNECT", "PATCH")),
      target: fc.oneof(fc.constant(undefined), spoiled(fc.oneof(arb.targets(), fc.constant("*")))),
      headers: fc.array(field, { maxLength: 4 }),
      expectContinue: fc.constantFrom(true, false),
    },
    { requiredKeys: [] },
  );
  const trailers = fc.oneof(
    fc.constant({}),
    field.map(([name, value]) => ({ trailers: trailersOf([[name, value]]) })),
  );
  return fc.tuple(url, init, body, trailers).map(([u, i, b, t]) => [u, { ...i, ...b, ...t }] as const);
}
