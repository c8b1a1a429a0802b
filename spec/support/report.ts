/**
 * The table of a run: a line for each check as it ends, and the sum at the end. Lives as long as the run.
 *
 * A check is a function that returns its figures or throws what is wrong. It is also wrong when it takes too long: the
 * thing under test is a client that must never hang.
 */

/** Thrown by a check whose rule does not hold: figures included, since they say how far from it. */
export class CheckFailed extends Error {}

/** Throws unless it holds. */
export function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new CheckFailed(what);
}

const LIMIT_MS = 240_000;
const NAME_COLUMNS = 62;

export class Report {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  /** Runs one check and prints its line. */
  async check(name: string, run: () => Promise<string>): Promise<void> {
    const began = performance.now();
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      limit = setTimeout(() => reject(new CheckFailed(`hangs: not done after ${LIMIT_MS / 1000} s`)), LIMIT_MS);
    });
    try {
      const figures = await Promise.race([run(), late]);
      this.#passed++;
      this.#line("ok", name, `${figures}; ${seconds(performance.now() - began)}`);
    } catch (error) {
      this.fail(name, textOf(error));
    } finally {
      clearTimeout(limit);
    }
  }

  fail(name: string, why: string): void {
    this.#failed++;
    this.#line("FAILED", name, why);
  }

  skip(name: string, why: string): void {
    this.#skipped++;
    this.#line("skipped", name, why);
  }

  /** Prints the sum. Returns whether nothing failed; a run that checked nothing has failed. */
  end(): boolean {
    const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : "";
    console.log(`\n${this.#passed} passed, ${this.#failed} failed${skipped}`);
    return this.#failed === 0 && this.#passed > 0;
  }

  #line(verdict: string, name: string, rest: string): void {
    console.log(`${verdict.padEnd(8)}${name.padEnd(NAME_COLUMNS)} ${rest}`);
  }
}

/** What went wrong, in one line; an unexpected error also says where. */
export function textOf(error: unknown): string {
  if (error instanceof CheckFailed) return error.message;
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? ` (${error.code})` : "";
  const where = /^\s+at (.*)$/m.exec(error.stack ?? "")?.[1] ?? "nowhere";
  const cause = error.cause === undefined ? "" : `; because: ${textOf(error.cause)}`;
  return `${error.name}: ${error.message}${code} at ${where}${cause}`;
}

export const count = (n: number): string => n.toLocaleString("en-US");
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** "a: 3, b: 1", the most frequent first. */
export function tally(words: Iterable<string>): string {
  const times = new Map<string, number>();
  for (const word of words) times.set(word, (times.get(word) ?? 0) + 1);
  const sorted = [...times].sort((a, b) => b[1] - a[1]);
  return sorted.length === 0 ? "none" : sorted.map(([word, n]) => `${word}: ${count(n)}`).join(", ");
}
