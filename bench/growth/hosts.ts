/**
 * A client that never meets a host again: requests to more and more hosts over a network in memory, as crawlers send
 * them. Prints what a request costs after so many hosts, and what the heap holds. Needs `--expose-gc`.
 *
 * Arguments: file: URL of the folder of our built code, counts of hosts, ascending.
 */
import { duplexPair } from "./duplex-pair.ts";

export interface HostsPoint {
  readonly hosts: number;
  readonly cpuUs: number;
  readonly heapBytes: number;
}

const [dist = "", ...counts] = process.argv.slice(2);
// The built files are not in the type program; their sources are.
const { Client, Transport } = (await import(`${dist}/index.js`)) as typeof import("../../lib/index.ts");

const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
const transport = new Transport({
  dial: () => {
    const [ours, theirs] = duplexPair();
    theirs.on("data", () => theirs.write(answer)); // a head of this client comes in one piece
    theirs.on("end", () => theirs.end());
    return ours;
  },
});
const client = new Client({ transport });
const AT_ONCE = 16;
let hosts = 0;

async function send(upTo: number): Promise<void> {
  const work = async () => {
    while (hosts < upTo) {
      const response = await client.get(`http://host-${hosts++}.test/`);
      if ((await response.text()) !== "ok") throw new Error("hosts: a wrong answer");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

await send(2_000); // compiled, and as many idle connections as the pool keeps
const points: HostsPoint[] = [];
for (const count of counts.map(Number)) {
  const from = hosts;
  const before = process.cpuUsage();
  await send(count);
  const { user, system } = process.cpuUsage(before);
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  points.push({ hosts, cpuUs: (user + system) / (hosts - from), heapBytes: process.memoryUsage().heapUsed });
}
await transport.close();
console.log(JSON.stringify(points));
