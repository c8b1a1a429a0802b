/**
 * Ours, as users get it: the built dist/index.js, a Client on a Transport with its defaults (timers, pool, the turn
 * before a reuse: all on), the URL as a string, the body taken with `bytes()`.
 */
import type { Target } from "../support/protocol.ts";
import { awaiting, type Contestant, requestBody } from "./contestant.ts";

export async function open(target: Target): Promise<Contestant> {
  // The built file is not in the type program; its source is.
  const { Client } = (await import(target.persistconn)) as typeof import("../../lib/index.ts");
  const client = new Client();
  const { url, headers } = target;
  if (target.method === "POST") {
    const options = { headers, body: requestBody(target) };
    return awaiting(target, async () => {
      const response = await client.post(url, options);
      return (await response.bytes()).byteLength;
    });
  }
  const options = { headers };
  return awaiting(target, async () => {
    const response = await client.get(url, options);
    return (await response.bytes()).byteLength;
  });
}
