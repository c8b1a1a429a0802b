/**
 * Millions of requests and a flat heap: sends them, and says now and then what the heap holds. Needs `--expose-gc`.
 *
 * Arguments: the target as JSON, how many requests, how many samples. Prints a line for each sample.
 */
import { open } from "../contestants/persistconn.ts";
import { memoryHeld } from "./memory.ts";

const [target = "", count = "", samples = ""] = process.argv.slice(2);
const contestant = await open(JSON.parse(target)); // the bench gives it
const each = Math.ceil(Number(count) / Number(samples));
await contestant.run(20_000, new Float64Array(20_000)); // compiled, and every connection dialled
const times = new Float64Array(each);
let cpu = process.cpuUsage();
for (let sample = 1; sample <= Number(samples); sample++) {
  await contestant.run(each, times);
  const { user, system } = process.cpuUsage(cpu);
  const memory = await memoryHeld();
  cpu = process.cpuUsage();
  console.log(JSON.stringify({ requests: sample * each, cpuUs: (user + system) / each, ...memory }));
}
process.exit(0);
