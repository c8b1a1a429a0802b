/** The global `fetch` (the undici that is built into Node); defaults throughout. */
import type { Target } from "../support/protocol.ts";
import { listenToChannels } from "./channels.ts";
import type { Contestant } from "./contestant.ts";
import { fetching } from "./fetching.ts";

export function open(target: Target): Contestant {
  if (target.extra === "hooks") listenToChannels("undici:");
  return fetching(target, fetch);
}
