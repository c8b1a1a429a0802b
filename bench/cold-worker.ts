/**
 * The process of one contestant that lives for one request: what an import and a first request cost where nothing is
 * compiled, loaded or dialled yet. Imports nothing itself that a client would have to load (no net, no streams), so that
 * each pays for what it needs.
 *
 * Arguments: the contestant's name, and its target as JSON. Prints one line.
 */
const start = performance.now();
const cpuAtStart = process.cpuUsage();
const [name, target] = process.argv.slice(2);
const { open } = (await import(`./contestants/${name}.js`)) as { open: import("./contestants/contestant.ts").Open };
const contestant = await open(JSON.parse(target!)); // the bench gives both
await contestant.run(1, new Float64Array(1));
const wallMs = performance.now() - start;
const { user, system } = process.cpuUsage(cpuAtStart);
const whole = process.cpuUsage();
console.log(JSON.stringify({ wallMs, cpuUs: user + system, processUs: whole.user + whole.system }));
process.exit(0);
