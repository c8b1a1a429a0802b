// biome-ignore-all lint/suspicious/noTsIgnore: whether there is an error depends on what the reader of the types has installed

/**
 * fast-check as these arbitraries see it: by type alone. It is handed in by whoever has it, so that nothing here loads it,
 * and the values are made by the very copy that will shrink them.
 *
 * It is an optional peer, and who does not have it must not fail to compile for these types. So the last line of this
 * comment speaks to their compiler, and is the last since it is for the line below:
 * @ts-ignore */
import type fastCheck from "fast-check";

/** What `import fc from "fast-check"` gives; 4.x. */
export type FastCheck = typeof fastCheck;

export type Arbitrary<T> = fastCheck.Arbitrary<T>;
