/** undici 7's `Pool.request`, the whole body taken with `arrayBuffer()`; as many connections as workers. */
import type { Target } from "../support/protocol.ts";
import type { Contestant } from "./contestant.ts";
import { requesting } from "./undici.ts";

export function open(target: Target): Promise<Contestant> {
  return requesting(target, "undici");
}
