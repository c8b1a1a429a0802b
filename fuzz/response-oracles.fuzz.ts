/**
 * Readers that share no code with ours read responses as we do: Go's http.ReadResponse, h11, and above llhttp node:http.
 * Well-formed ones come out as they were meant; of malformed ones each difference stands in oracles/differences.ts with
 * its section, and a difference that does not is a failure.
 */

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { arbitraries } from "../lib/testing/arbitraries/arbitraries.ts";
import type { ResponseMessage } from "../lib/testing/arbitraries/responses.ts";
import { CORPUS, REFUSALS } from "../spec/wire/corpus.ts";
import { explain, FIELDS_NOT_COMPARED, isAbout, RESPONSE_DIFFERENCES } from "./oracles/differences.ts";
import { differenceOf } from "./oracles/judge.ts";
import { nodeOracle } from "./oracles/node-oracle.ts";
import { ourReading } from "./oracles/ours.ts";
import { goOracle, h11Oracle } from "./oracles/process-oracle.ts";
import type { Oracle, Pairs } from "./oracles/reading.ts";
import { runs } from "./runs.ts";

const FILE = "response-oracles";
const arb = arbitraries(fc);
const messages = arb.responseMessages();
const known = [...CORPUS, ...REFUSALS].map((c) => c.bytes).filter((bytes) => bytes.length < 1000);
const base = fc.oneof(
  messages.map((message) => message.bytes),
  fc.constantFrom(...known),
);
const methods = fc.constantFrom("GET", "GET", "GET", "HEAD");

const oracles: Record<Oracle["name"], Oracle | string> = { go: goOracle(), h11: h11Oracle(), node: nodeOracle() };
for (const [name, oracle] of Object.entries(oracles)) {
  if (typeof oracle === "string") console.warn(`${FILE}: goes without ${name}: ${oracle}`);
}
afterAll(() => {
  for (const oracle of Object.values(oracles)) if (typeof oracle !== "string") oracle.close();
});

const lower = (pairs: Pairs): Pairs => pairs.map(([name, value]) => [name.toLowerCase(), value]);

/** What our reader should tell of a message: the final one, behind its 1xx. */
function meant(message: ResponseMessage) {
  const head = (status: number, fields: Pairs) => expect.objectContaining({ status, fields: lower(fields) });
  return [
    ...message.information.map(({ status, fields }) => head(status, fields)),
    {
      status: message.status,
      reason: message.reason,
      minor: message.minorVersion,
      method: "",
      target: "",
      fields: lower(message.fields),
      body: message.body,
      trailers: lower(message.trailers),
    },
  ];
}

async function disagreement(oracle: Oracle, bytes: string, method: string): Promise<string | null> {
  const ours = ourReading(bytes, method);
  const difference = differenceOf(ours, await oracle.response(bytes, method), FIELDS_NOT_COMPARED[oracle.name]);
  if (difference === null) return null;
  if (explain(oracle.name, difference, { method, bytes, rest: ours.rest }) !== null) return null;
  return `${oracle.name} is ${difference.kind}: ${difference.text}`;
}

test("a well-formed response is read as it was meant", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const ours = ourReading(message.bytes, message.method);
      expect(ours).toEqual({ messages: meant(message), error: "", rest: 0 });
    }),
    runs(FILE, 3),
  );
});

describe.each(["go", "h11", "node"] as const)("%s", (name) => {
  const oracle = oracles[name];
  const missing = typeof oracle === "string";

  test.skipIf(missing)("a well-formed response is read as the oracle reads it", async () => {
    if (missing) return;
    await fc.assert(
      fc.asyncProperty(messages, async ({ bytes, method }) => {
        expect(await disagreement(oracle, bytes, method)).toBeNull();
      }),
      runs(FILE),
    );
  });

  test.skipIf(missing)(
    "a malformed response is read or refused as the oracle does, but for what the table says",
    async () => {
      if (missing) return;
      await fc.assert(
        fc.asyncProperty(arb.malformed(base), methods, async (bytes, method) => {
          expect(await disagreement(oracle, bytes, method)).toBeNull();
        }),
        runs(FILE, 3),
      );
    },
  );

  test.skipIf(missing)("the corpus is read or refused as the oracle does, but for what the table says", async () => {
    if (missing) return;
    for (const { bytes, method = "GET" } of [...CORPUS, ...REFUSALS]) {
      // Of a CONNECT it is the caller who knows what follows: no oracle has that in its reader.
      if (method === "CONNECT") continue;
      // To node.http a method in lower case is the same in upper case.
      if (name === "node" && method !== method.toUpperCase()) continue;
      expect(await disagreement(oracle, bytes, method), JSON.stringify(bytes.slice(0, 500))).toBeNull();
    }
  });

  test.skipIf(missing)("each row of the table shows in its example", async () => {
    if (missing) return;
    for (const row of RESPONSE_DIFFERENCES) {
      if (!isAbout(row, name)) continue;
      const [method, bytes] = row.example;
      const ours = ourReading(bytes, method);
      const difference = differenceOf(ours, await oracle.response(bytes, method), FIELDS_NOT_COMPARED[name]);
      expect(difference?.kind, `${row.why}: ${JSON.stringify(row.example)}`).toBe(row.kind);
      expect(explain(name, difference!, { method, bytes, rest: ours.rest })?.why).toBe(row.why);
    }
  });
});
