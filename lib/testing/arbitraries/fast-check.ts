/**
 * fast-check as these arbitraries see it: by type alone. It is handed in by whoever has it, so that nothing here loads it,
 * and the values are made by the very copy that will shrink them.
 */

import type fastCheck from "fast-check";

/** What `import fc from "fast-check"` gives; 4.x. */
export type FastCheck = typeof fastCheck;

export type Arbitrary<T> = fastCheck.Arbitrary<T>;
