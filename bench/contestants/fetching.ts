/** What every `fetch` is asked to do, ours and the global one alike. */
import type { Target } from "../support/protocol.ts";
import { awaiting, bytesOfJson, type Contestant, countBytes, LIMIT_MS, pieces, requestBody } from "./contestant.ts";

export function fetching(target: Target, fetch: typeof globalThis.fetch): Contestant {
  const { url, method, headers, read, extra, requestBytes } = target;
  const streams = read === "stream";
  const body = requestBytes > 0 && !streams ? { body: requestBody(target) } : {};
  const fixed: RequestInit = { method, headers, ...body };
  const init = (): RequestInit => {
    switch (extra) {
      case "signal":
        return { ...fixed, signal: new AbortController().signal };
      case "timeouts":
        return { ...fixed, signal: AbortSignal.timeout(LIMIT_MS) };
      default:
        // Both take async iterables, which the standard's types do not have.
        return streams && requestBytes > 0
          ? ({ ...fixed, body: pieces(requestBytes), duplex: "half" } as unknown as RequestInit)
          : fixed;
    }
  };
  if (read === "json") return awaiting(target, async () => bytesOfJson(await (await fetch(url, init())).json()));
  if (streams) {
    return awaiting(target, async () => {
      const { body: stream } = await fetch(url, init());
      return stream === null ? 0 : countBytes(stream as unknown as AsyncIterable<Uint8Array>); // Node's streams iterate
    });
  }
  return awaiting(target, async () => (await (await fetch(url, init())).arrayBuffer()).byteLength);
}
