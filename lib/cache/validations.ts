/**
 * The validations under way, one for each entry: who comes meanwhile can wait for it.
 *
 * Owns:  the promises; each is settled when its validation is, whatever became of it.
 */

import type { StoredResponse } from "./store.ts";

export interface Validation {
  /** Tells those who wait: the entry as it is now, or null where each must ask for itself. The first word counts. */
  settle(current: StoredResponse | null): void;
}

export class Validations {
  readonly #underWay = new Map<string, Promise<StoredResponse | null>>();

  get(id: string): Promise<StoredResponse | null> | null {
    return this.#underWay.get(id) ?? null;
  }

  begin(id: string): Validation {
    if (this.#underWay.has(id)) return ALONE;
    let tell: (current: StoredResponse | null) => void = () => {};
    this.#underWay.set(
      id,
      new Promise((resolve) => {
        tell = resolve;
      }),
    );
    let settled = false;
    return {
      settle: (current) => {
        if (settled) return;
        settled = true;
        this.#underWay.delete(id);
        tell(current);
      },
    };
  }
}

const ALONE: Validation = { settle() {} };
