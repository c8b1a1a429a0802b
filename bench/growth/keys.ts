/**
 * The pool by itself, with more and more keys, each of which has one idle connection. Prints, for each count of keys,
 * what a get and a put cost on one hot key and on all keys in turn, and the memory of a key. Needs `--expose-gc`.
 *
 * Arguments: file: URL of the folder of our built code, counts of keys.
 */
import { median } from "../statistics.ts";
import { PoolRig } from "../support/pool-rig.ts";

export interface KeysPoint {
  readonly keys: number;
  readonly hotNs: number;
  readonly spreadNs: number;
  readonly bytesPerKey: number;
}

const [dist = "", ...counts] = process.argv.slice(2);
const ROUNDS = 7;
const PER_ROUND = 100_000;

async function measure(keys: number): Promise<KeysPoint> {
  const rig = await PoolRig.make(dist);
  const names = Array.from({ length: keys }, (_, i) => `http://host-${i}.test:80`);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (const name of names) rig.put(rig.get(name));
  globalThis.gc?.();
  const bytesPerKey = (process.memoryUsage().heapUsed - before) / keys;
  const time = (key: (i: number) => string): number => {
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = process.cpuUsage();
      for (let i = 0; i < PER_ROUND; i++) rig.put(rig.get(key(i)));
      const { user, system } = process.cpuUsage(before);
      rounds.push(((user + system) * 1_000) / PER_ROUND);
    }
    return median(rounds);
  };
  const hotNs = time(() => names[0]!);
  // In steps of a prime: never the neighbour, and all of them.
  const spreadNs = time((i) => names[(i * 7_919) % keys]!);
  return { keys, hotNs, spreadNs, bytesPerKey };
}

await measure(1_000); // compiled before the first that counts
const points: KeysPoint[] = [];
for (const count of counts) points.push(await measure(Number(count)));
console.log(JSON.stringify(points));
