/** undici's `Pool.request`, the whole body taken with `arrayBuffer()`; as many connections as workers. */
import { Pool } from "undici";
import type { Target } from "../support/protocol.ts";
import { awaiting, type Contestant, requestBody } from "./contestant.ts";

export function open(target: Target): Contestant {
  const pool = new Pool(new URL(target.url).origin, { connections: target.workers });
  const { method, path, headers } = target;
  const options = { method, path, headers, ...(target.requestBytes > 0 ? { body: requestBody(target) } : {}) };
  return awaiting(target, async () => {
    const { body } = await pool.request(options);
    return (await body.arrayBuffer()).byteLength;
  });
}
