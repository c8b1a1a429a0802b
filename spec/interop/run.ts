/**
 * The interop run: `npx tsx spec/interop/run.ts [--quick] [--only NAME] [--seed N]`.
 *
 * Runs the library against real servers and against servers that close, speak and answer at the worst moment; prints
 * a line for each check with its figures, then the sum; exits with 1 where a check failed. It installs what it needs
 * (as root, on Debian). However it ends, no process and no file stays behind: child.ts and site.ts see to that on exit.
 *
 * --quick   a hundredth of the load; a server that cannot be installed is skipped, not failed
 * --only    one server of real-servers.ts, one proxy of proxies.ts, `idle-close`, `unsolicited`, `early-answer` or
 *           `decompress`, `http2`
 */

import { parseArgs } from "node:util";
import { Report } from "../support/report.ts";
import { checkDecompression } from "./decompress.ts";
import { checkEarlyAnswers } from "./early-answer.ts";
import { checkHttp2 } from "./http2.ts";
import { checkIdleClose } from "./idle-close.ts";
import { checkProxy, PROXIES } from "./proxies.ts";
import { checkServer, SERVERS } from "./real-servers.ts";
import { makeSite } from "./site.ts";
import { checkUnsolicited } from "./unsolicited.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const { quick, only } = values;
const seed = Number(values.seed);
const scale = quick
  ? {
      sequential: 100,
      perWorker: 10,
      bigBytes: 64 * 2 ** 20,
      idleGets: 200,
      unsolicitedGets: 1_000,
      earlyTimes: 10,
      decodedGets: 10,
      bombBytes: 2 ** 28,
    }
  : {
      sequential: 1_000,
      perWorker: 100,
      bigBytes: 2 ** 30,
      idleGets: 2_000,
      unsolicitedGets: 10_000,
      earlyTimes: 100,
      decodedGets: 100,
      bombBytes: 10 * 2 ** 30,
    };

const races = ["idle-close", "unsolicited", "early-answer", "decompress", "http2"];
const names = [...Object.keys(SERVERS), ...Object.keys(PROXIES), ...races];
if (!Number.isInteger(seed)) throw new Error(`--seed takes a whole number, not ${values.seed}`);
if (only !== undefined && !names.includes(only)) throw new Error(`--only takes one of ${names.join(", ")}`);
const wanted = (name: string) => only === undefined || only === name;

const report = new Report();
const bigBytes = only !== undefined && !(only in SERVERS) ? 0 : scale.bigBytes;
console.log(`seed ${seed}${quick ? ", quick" : ""}; a body of ${bigBytes / 2 ** 20} MiB to serve`);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
const site = await makeSite(seed, bigBytes);
for (const name of Object.keys(SERVERS)) if (wanted(name)) await checkServer(name, report, site, scale, quick);
for (const name of Object.keys(PROXIES))
  if (wanted(name)) await checkProxy(name, report, site, scale.sequential, quick);
console.log("");
if (wanted("idle-close")) await checkIdleClose(report, scale.idleGets, seed);
if (wanted("unsolicited")) await checkUnsolicited(report, scale.unsolicitedGets, seed);
if (wanted("early-answer")) await checkEarlyAnswers(report, site, scale.earlyTimes, seed);
if (wanted("http2")) await checkHttp2(report, site, quick ? 1 : 20, quick);
if (wanted("decompress")) await checkDecompression(report, site, scale, quick);
// Said outright: what a failed check left open must not keep the run from ending.
process.exit(report.end() ? 0 : 1);
