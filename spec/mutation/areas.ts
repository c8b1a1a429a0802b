/**
 * What is mutated, and which specs must notice: one area for each station, so that each can be run by itself. Pure: no
 * imports.
 *
 * An area's specs are the fast ones: most need no socket, and those that do stay on loopback. The whole suite takes
 * minutes, and a mutant that survives meets all of its specs.
 */

export interface Area {
  /** Files whose mutants are made; a leading `!` takes files out again. */
  readonly mutate: readonly string[];
  /** Spec files in the order in which they run, the cheap ones first; with a slash at its end, all specs of a folder. */
  readonly specs: readonly string[];
  /** How often a property is run: `RUNS` of the fuzz files. */
  readonly runs: number;
}

export const AREAS: Readonly<Record<string, Area>> = {
  rules: {
    mutate: ["lib/retry.ts", "lib/redirect.ts"],
    specs: ["spec/retry.spec.ts", "spec/redirect.spec.ts", "spec/redirect-chain.spec.ts"],
    runs: 50,
  },
  pool: {
    mutate: ["lib/pool/**/*.ts"],
    specs: ["spec/pool/", "fuzz/pool.fuzz.ts", "fuzz/races.fuzz.ts"],
    runs: 50,
  },
  wire: {
    mutate: ["lib/wire/**/*.ts", "!lib/wire/llhttp/generated/**"],
    specs: [
      "spec/wire/abnf.spec.ts",
      "spec/wire/small-parts.spec.ts",
      "spec/wire/head-templates.spec.ts",
      "spec/wire/shared-table.spec.ts",
      "spec/wire/parser-steps.spec.ts",
      "spec/wire/request-words.spec.ts",
      "spec/wire/response-head.spec.ts",
      "spec/wire/chunked-decoder.spec.ts",
      "spec/wire/body-framing.spec.ts",
      "spec/wire/upgrade.spec.ts",
      "spec/wire/lenient.spec.ts",
      "spec/corpus.spec.ts",
      "spec/go-scenarios/request-write.spec.ts",
      "spec/write-request.spec.ts",
      "spec/read-response.spec.ts",
      "spec/wire/response-parser.spec.ts",
      "spec/wire/request-writer.spec.ts",
      "spec/wire/against-llhttp.spec.ts",
      "spec/wire/head-writer.spec.ts",
      "spec/go-scenarios/read-response.spec.ts",
      "fuzz/response-parser.fuzz.ts",
    ],
    runs: 20,
  },
  conn: {
    mutate: ["lib/conn/**/*.ts"],
    specs: [
      "spec/conn/async-queue.spec.ts",
      "spec/conn/conn-state.spec.ts",
      "spec/conn/read-loop.spec.ts",
      "spec/conn/write-loop.spec.ts",
      "spec/conn/exchange.spec.ts",
      "spec/conn/conn-trace.spec.ts",
      "spec/conn/persist-conn.spec.ts",
      "spec/conn/pipeline-line.spec.ts",
      "spec/conn/pipeline-loops.spec.ts",
      "spec/conn/pipeline.spec.ts",
      "spec/conn/late-confirmation.spec.ts",
      "spec/conn/handover-steps.spec.ts",
      "spec/conn/handover.spec.ts",
      "spec/conn/happy-eyeballs.spec.ts",
      "spec/conn/sink-gate.spec.ts",
      "spec/conn/connecting.spec.ts",
      "spec/conn/socket-steps.spec.ts",
      "spec/conn/resolve.spec.ts",
      "spec/conn/dial-steps.spec.ts",
      "spec/conn/duplex-conduit.spec.ts",
      "spec/conn/tls-identity.spec.ts",
      "spec/conn/tls-words.spec.ts",
      "spec/conn/memory-conduit.spec.ts",
      "spec/conn/",
      "fuzz/races.fuzz.ts",
      "spec/httptrace.spec.ts",
      "spec/observe/trace-events.spec.ts",
      "spec/e2e/trace.spec.ts",
      "spec/e2e/information.spec.ts",
      "spec/e2e/early-response.spec.ts",
      "spec/e2e/abort.spec.ts",
      "spec/e2e/late-body.spec.ts",
      "spec/go-scenarios/exchange.spec.ts",
      "spec/e2e/timeouts.spec.ts",
      "fuzz/simulator.fuzz.ts",
    ],
    runs: 10,
  },
};

/**
 * Tests that no mutant meets, by parts of their names: what they cost, for each mutant on their way, is more than what they
 * would find that others do not.
 */
export const TOO_SLOW: readonly string[] = [
  "holds 100,000 keys, and as many who wait for one, at a cost that grows with their number only",
  "time is bounded: a hundred times the bytes of a bad kind take about a hundred times as long, not ten thousand",
  "of 200,000 chunks of one byte: their lines are no overhead too many [TestChunkReaderByteAtATime]",
  "the same seed gives the same run, byte for byte",
  "another seed gives another run",
  "an answer that waits in the kernel is not lost by our own write",
];

/** Parts of the names of tests that are run after all others: what a short one notices need not wait for a long one. */
export const LATE: readonly string[] = [
  "or writes exactly the lines that it was given, whatever these are",
  "HeadWriter.write() writes what writeHead() writes, whatever it wrote before",
  "many parsers share one WASM instance",
  "write() answers full when the peer takes no more",
  "write() in small pieces answers full in the end",
  "worlds from seed",
];
