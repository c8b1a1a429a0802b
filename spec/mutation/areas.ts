/**
 * What is mutated, and which specs must notice: one area for each station, so that each can be run by itself. Pure: no
 * imports, so that the runner and the configuration of the specs' runs both read it.
 *
 * An area's specs are the fast ones: most need no socket, and those that do stay on loopback. The whole suite takes
 * minutes, and a mutant may need all of its specs.
 */

export interface Area {
  /** Files whose mutants are made; a leading `!` takes files out again. */
  readonly mutate: readonly string[];
  /** Patterns of the spec files beside what is mutated: all mutants meet these. */
  readonly near: readonly string[];
  /** Of those that only survivors of the near ones meet: they load much, or run long. */
  readonly far: readonly string[];
  /** How the paths of those begin that run last, in this order: most mutants never meet what costs most. */
  readonly late: readonly string[];
  /** How often a property is run: `RUNS` of the fuzz files. */
  readonly runs: number;
}

export const AREAS: Readonly<Record<string, Area>> = {
  rules: {
    mutate: ["lib/retry.ts", "lib/redirect.ts"],
    near: ["spec/retry.spec.ts", "spec/redirect.spec.ts"],
    far: ["spec/redirect-chain.spec.ts"],
    late: [],
    runs: 50,
  },
  pool: {
    mutate: ["lib/pool/**/*.ts"],
    near: ["spec/pool/*.spec.ts"],
    far: ["fuzz/pool.fuzz.ts", "fuzz/races.fuzz.ts"],
    late: [],
    runs: 50,
  },
  wire: {
    mutate: ["lib/wire/**/*.ts", "!lib/wire/llhttp/generated/**"],
    near: ["spec/wire/!(extract-wasm).spec.ts"],
    far: [
      "spec/read-response.spec.ts",
      "spec/write-request.spec.ts",
      "spec/corpus.spec.ts",
      "spec/go-scenarios/read-response.spec.ts",
      "spec/go-scenarios/request-write.spec.ts",
      "fuzz/response-parser.fuzz.ts",
    ],
    late: ["spec/wire/head-writer", "spec/wire/response-parser", "spec/wire/request-writer"],
    runs: 20,
  },
  conn: {
    mutate: ["lib/conn/**/*.ts"],
    near: ["spec/conn/*.spec.ts"],
    far: ["fuzz/simulator.fuzz.ts", "fuzz/races.fuzz.ts"],
    late: ["spec/conn/dial", "spec/conn/polluted", "spec/conn/tls", "spec/conn/socket"],
    runs: 10,
  },
};

/**
 * Tests that no mutant meets, by their whole names: what they cost, for each mutant on their way, is more than what they
 * would find that others do not.
 */
export const TOO_SLOW: readonly string[] = [
  "holds 100,000 keys, and as many who wait for one, at a cost that grows with their number only",
  "time is bounded: a hundred times the bytes of a bad kind take about a hundred times as long, not ten thousand",
  "of 200,000 chunks of one byte: their lines are no overhead too many [TestChunkReaderByteAtATime]",
  "the same seed gives the same run, byte for byte",
  "another seed gives another run",
];
