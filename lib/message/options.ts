/**
 * Options as callers give them: only what they own is read (an option that a polluted prototype brings along is not
 * theirs), and a name nobody knows is refused, with the name that was probably meant. Pure.
 */

/** For `inspect` of node:util: one line that shows the state and hides secrets. */
export const inspectCustom: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * What an error says about an option that does not exist.
 *
 * @param within what stands before the name, where it is an option within another: `"tls."`
 */
export function unknownOption(name: string, known: readonly string[], within = ""): TypeError {
  const near = nearestName(name.slice(within.length), known);
  const hint = near === null ? `the options are ${known.join(", ")}` : `did you mean ${within}${near}?`;
  return new TypeError(`Unknown option ${JSON.stringify(name)}: ${hint}`);
}

/** What an error says about an option of the wrong type. Never shows the value: it may be a secret. */
export function wrongType(name: string, wanted: string, value: unknown): TypeError {
  return new TypeError(`Option ${name} must be ${wanted}: it is ${kindOf(value)}`);
}

/** The kind of a value in one word, without its content. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** The known name at the smallest edit distance, if that is at most a third of its length; else null. */
export function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length > 64) return null; // the distance costs the product of both lengths
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance && distance <= Math.ceil(candidate.length / 3)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      // both rows have b.length + 1 entries, filled up to j - 1 and wholly
      row.push(Math.min(row[j - 1]! + 1, above[j]! + 1, above[j - 1]! + change));
    }
    above = row;
  }
  return above[b.length]!;
}
