/**
 * A connection out of the pool and back: ours (waits, dials, limits and turns, all of it but the sockets) against a Map of
 * stacks, which only knows who is idle.
 */
import { PoolRig } from "../support/pool-rig.ts";
import { compare, dist } from "./compare.ts";

for (const keys of [1, 10_000]) {
  const rig = await PoolRig.make(dist);
  const stacks = new Map<string, object[]>();
  const names = Array.from({ length: keys }, (_, i) => `http://host-${i}.test:80`);
  for (const name of names) {
    rig.put(rig.get(name));
    stacks.set(name, [{}]);
  }
  let at = 0;
  const next = () => {
    at = (at + 7_919) % keys;
    return names[at]!;
  };
  await compare(`pool: get and put, ${keys.toLocaleString("en")} ${keys === 1 ? "key" : "keys"}`, {
    persistconn: () => rig.put(rig.get(next())),
    "Map of stacks": () => {
      const stack = stacks.get(next())!;
      const one = stack.pop()!;
      stack.push(one);
      return one;
    },
  });
}
