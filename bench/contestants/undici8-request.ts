/** The same by undici 8, which wants Node 22.19 or later. */
import type { Target } from "../support/protocol.ts";
import type { Contestant } from "./contestant.ts";
import { requesting } from "./undici.ts";

export function open(target: Target): Promise<Contestant> {
  return requesting(target, "undici-8");
}
