/** Our own standard call, `fetch`, of a Client on its defaults; the body taken with `arrayBuffer()`, as fetch users do. */
import type { Target } from "../support/protocol.ts";
import type { Contestant } from "./contestant.ts";
import { fetching } from "./fetching.ts";
import { makeTransport } from "./persistconn.ts";

export async function open(target: Target): Promise<Contestant> {
  // The built file is not in the type program; its source is.
  const ours = (await import(target.persistconn)) as typeof import("../../lib/index.ts");
  const { fetch } = new ours.Client({ transport: makeTransport(ours, target) });
  // Ours is assignable to the standard call but for the types of streams, which are not what is measured.
  return fetching(target, fetch as unknown as typeof globalThis.fetch);
}
