/**
 * Where the mutants of an instrumented tree are switched: each function stands in for one expression of lib/ (instrument.ts
 * puts it there) and gives the value that the source gives, or the mutant's where that one is on. One process runs one spec
 * file, so this state is the file's; runner.ts sets it around each case and nobody else does.
 *
 * A case meets a mutant when it evaluates the expression and the mutant's value is another than the source's: a condition
 * forced to be true is met where it was false, `<` made `<=` where both sides are equal. A statement taken out, a number and a
 * string changed are met wherever they are reached. Between cases, and while modules load, nothing is on and nothing is noted.
 */

/** With a mutant on, no case that comes to its end comes near; a loop that a mutant made endless does, and is ended by an error on its next condition. */
const EVALUATIONS_MAX = 100_000_000;
export const RAN_AWAY = "ran away: a mutant's loop has no end";

interface Board {
  listening: boolean;
  /** The mutant that is on; -1 for none. */
  active: number;
  evaluations: number;
  /** By id: 1 for one that was met. */
  met: Uint8Array;
}

// vitest loads its runner apart from what the specs load, so this module is there twice in a process; the board is not.
const shared = globalThis as typeof globalThis & { __mutantBoard?: Board };
shared.__mutantBoard ??= { listening: false, active: -1, evaluations: 0, met: new Uint8Array(1 << 10) };
const board: Board = shared.__mutantBoard;

/** From here to end(), mutant `id` is on (null: none), and what is met is noted. */
export function begin(id: number | null): void {
  board.listening = true;
  board.active = id ?? -1;
  board.evaluations = 0;
  board.met.fill(0);
}

/** All that was met since begin(), in order of their ids; with a mutant on, that one or nothing. */
export function end(): number[] {
  const { met, active } = board;
  board.listening = false;
  const ids: number[] = [];
  for (let id = met.indexOf(1); id !== -1; id = met.indexOf(1, id + 1)) ids.push(id);
  return active === -1 ? ids : ids.filter((id) => id === active);
}

/** Whether mutant `id` is on. @param differs its value would be another one here */
function on(id: number, differs: boolean): boolean {
  if (!board.listening) return false;
  if (++board.evaluations > EVALUATIONS_MAX && board.active !== -1) throw new Error(RAN_AWAY);
  if (differs) {
    if (id >= board.met.length) {
      const wider = new Uint8Array(id * 2);
      wider.set(board.met);
      board.met = wider;
    }
    board.met[id] = 1;
  }
  return id === board.active;
}

/** A condition: `id` forces it to be true, `id + 1` to be false. */
export function __if<T>(id: number, value: T): T | boolean {
  return value ? (on(id + 1, true) ? false : value) : on(id, true) ? true : value;
}

type Comparable = number | string | bigint;
export const __lt = (id: number, a: Comparable, b: Comparable): boolean => (on(id, a === b) ? a <= b : a < b);
export const __le = (id: number, a: Comparable, b: Comparable): boolean => (on(id, a === b) ? a < b : a <= b);
export const __gt = (id: number, a: Comparable, b: Comparable): boolean => (on(id, a === b) ? a >= b : a > b);
export const __ge = (id: number, a: Comparable, b: Comparable): boolean => (on(id, a === b) ? a > b : a >= b);

export const __minus = (id: number, a: number, b: number): number =>
  typeof a === "number" && on(id, b !== 0) ? a + b : a - b;
/** `+` of numbers only: what else it joins stays as it is. */
export const __plus = <T extends number>(id: number, a: T, b: T): number =>
  typeof a === "number" && typeof b === "number" && on(id, b !== 0) ? a - b : a + b;

/** The left side of `??`, left out. */
export const __left = <T>(id: number, value: T): T | undefined =>
  on(id, value !== null && value !== undefined) ? undefined : value;

export const __not = (id: number, value: boolean): boolean => (on(id, true) ? !value : value);
export const __number = (id: number, value: number): number => (on(id, true) ? value + 1 : value);
export const __string = (id: number, value: string): string => (on(id, true) ? (value === "" ? "?" : "") : value);
/** Whether a statement is left out. */
export const __skip = (id: number): boolean => on(id, true);
