/**
 * The chances of a run, from one seed: a row that failed is played again with `--seed`. Both processes of a check make
 * their own generator, so what one draws never shifts what the other draws.
 */

export interface Chance {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, below). */
  below(below: number): number;
  /** One of them, each as likely. */
  pick<T>(items: readonly [T, ...T[]]): T;
}

/** A generator of 32 bits of state (a Weyl sequence, mixed): enough to vary schedules, useless for secrets. */
export function seeded(seed: number): Chance {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return { next, below, pick: (items) => items[below(items.length)] ?? items[0] };
}
