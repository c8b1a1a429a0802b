/**
 * The two articles that this project starts from, as experiments: what they complain of must not happen here.
 *
 *     npx tsx spec/articles/run.ts [--only a|b|c|d|e] [--quick]
 *
 * Each expectation is a check with its figure; the closing line counts them, and one that does not hold exits with 1.
 */

import { parseArgs } from "node:util";
import { addresses } from "./addresses.ts";
import { caching } from "./caching.ts";
import { OriginProcess } from "./origin-process.ts";
import { Report } from "./report.ts";
import { reusedRequest } from "./reused-request.ts";
import { undrained } from "./undrained.ts";
import { workers } from "./workers.ts";

const EXPERIMENTS = { a: reusedRequest, b: workers, c: addresses, d: caching, e: undrained };

const { values } = parseArgs({ options: { only: { type: "string" }, quick: { type: "boolean", default: false } } });
const chosen = Object.entries(EXPERIMENTS).filter(([letter]) => values.only === undefined || values.only === letter);
if (chosen.length === 0) throw new Error(`--only takes one of ${Object.keys(EXPERIMENTS).join(", ")}`);

const report = new Report();
const server = await OriginProcess.start();
try {
  for (const [, experiment] of chosen) await experiment(report, server, values.quick);
} finally {
  await server.stop();
}
process.exitCode = report.close();
