/**
 * From a name to addresses: the system's resolver, and what is remembered of a host between two dials.
 *
 * node:dns is loaded by the first who looks up a name.
 */

import type { Address } from "./happy-eyeballs.ts";

/** All addresses of a host, the preferred one first. */
export type Lookup = (host: string) => Promise<readonly Address[]>;

/** The system's resolver, each address once. */
export const lookUpAll: Lookup = async (host) => {
  const { lookup } = process.getBuiltinModule("node:dns/promises");
  const found = await lookup(host, { all: true });
  const families = new Map(found.map(({ address, family }) => [address, family === 6 ? 6 : 4] as const));
  return [...families].map(([address, family]) => ({ address, family }));
};

/** Hosts remembered at most: a URL may name any number of them. */
const HOSTS_MAX = 1000;

/** Which address family gave the last connection to a host: it goes first the next time. Lives as long as its dialer. */
export class FamilyMemory {
  readonly #families = new Map<string, Address["family"]>();

  get(host: string): Address["family"] | undefined {
    return this.#families.get(host);
  }

  set(host: string, family: Address["family"]): void {
    this.#families.delete(host);
    this.#families.set(host, family);
    if (this.#families.size > HOSTS_MAX) {
      const [oldest] = this.#families.keys();
      this.#families.delete(oldest!); // there are more than HOSTS_MAX
    }
  }
}
