/** The global `fetch` (the undici that is built into Node), the body taken with `arrayBuffer()`; defaults throughout. */
import type { Target } from "../support/protocol.ts";
import { awaiting, type Contestant, requestBody } from "./contestant.ts";

export function open(target: Target): Contestant {
  const { url, method, headers } = target;
  const init = { method, headers, ...(target.requestBytes > 0 ? { body: requestBody(target) } : {}) };
  return awaiting(target, async () => {
    const response = await fetch(url, init);
    return (await response.arrayBuffer()).byteLength;
  });
}
