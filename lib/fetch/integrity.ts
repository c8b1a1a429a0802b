/**
 * `integrity`: an answer is delivered only where its content has one of the digests that the caller named. Therefore it is
 * read to its end before anybody sees it.
 *
 * Subresource Integrity, "parse metadata", "do bytes match metadataList".
 */

import { PairLines } from "../message/headers.ts";
import { type Response, responseOf, takenApart } from "../message/response.ts";
import { ResponseBody } from "../message/response-body.ts";
import { MemoryBacking } from "./memory-backing.ts";

/** From weak to strong: only what is named in the strongest counts. */
const ALGORITHMS = ["sha256", "sha384", "sha512"] as const;
type Algorithm = (typeof ALGORITHMS)[number];

/** Digests of the strongest algorithm that is named. */
export interface Integrity {
  readonly algorithm: Algorithm;
  /** In base64. */
  readonly digests: readonly string[];
}

/**
 * @returns null where nothing is named that is known: then, as the standard has it, nothing is verified
 */
export function parseIntegrity(text: string): Integrity | null {
  let found: { algorithm: Algorithm; digests: string[] } | null = null;
  for (const item of text.split(/[\t\n\f\r ]+/)) {
    const [expression = ""] = item.split("?", 1); // what follows are options, and none is known
    const at = expression.indexOf("-");
    const algorithm = ALGORITHMS.find((name) => name === expression.slice(0, at).toLowerCase());
    const digest = expression
      .slice(at + 1)
      .replace(/-/g, "+")
      .replace(/_/g, "/");
    if (algorithm === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(digest)) continue;
    if (found === null || ALGORITHMS.indexOf(algorithm) > ALGORITHMS.indexOf(found.algorithm)) {
      found = { algorithm, digests: [] };
    }
    if (found.algorithm === algorithm) found.digests.push(digest);
  }
  return found;
}

/** The response again, whole in memory, once its content was found to be what it should. */
export async function verified(response: Response, wanted: Integrity): Promise<Response> {
  const { algorithm, digests } = wanted;
  const { redirected } = response;
  const { backing, content } = takenApart(response);
  if (content === null) {
    throw new Error(`Cannot verify integrity of ${response.url}: status ${response.status} came without a body`);
  }
  const bytes = await new ResponseBody(content).collect();
  const digest = process.getBuiltinModule("node:crypto").createHash(algorithm).update(bytes).digest("base64");
  const plain = digest.replace(/=+$/, "");
  if (!digests.some((one) => one.replace(/=+$/, "") === plain)) {
    throw new Error(
      `Cannot verify integrity of ${response.url}: its content is ${algorithm}-${digest}, which is none of those expected`,
    );
  }
  const facts = {
    status: backing.status,
    statusText: backing.statusText,
    httpVersion: backing.httpVersion,
    fields: backing.fields,
    framing: backing.framing,
    url: backing.url,
    request: backing.request,
    redirected,
    decompressed: backing.decompressed,
    connection: backing.connection,
    trailers: () => backing.trailers() ?? new PairLines([]),
    timings: () => backing.timings(),
  };
  return responseOf(new MemoryBacking(facts, bytes));
}
