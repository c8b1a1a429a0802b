/**
 * What becomes of the package in other people's builds: `npx tsx spec/package/bundles.ts`, after `make build`.
 *
 * Bundles a small program with esbuild, as an ES module and as CommonJS, runs both on the oldest Node that is supported
 * where no package is installed, and makes a single executable of the second (Node's SEA, its blob put in by postject),
 * which runs alone. The program asks over http and https and posts. Prints a line for each; exits with 1 where one failed.
 */

import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { NODES, nodeOf } from "../runtimes/programs.ts";
import { CertificateAuthority } from "../support/certs.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

/** Its last line says that it came to its end. */
const PROGRAM = `
import { Client, DialError, get, Transport } from "persistconn";
import { h2 } from "persistconn/h2";
import { withRetry } from "persistconn/middleware";

const { HTTP, HTTPS, CA } = process.env;
async function main() {
  const same = (got, wanted) => {
    if (got !== wanted) throw new Error(JSON.stringify(got) + ", where " + JSON.stringify(wanted) + " is due");
  };
  same(await (await get(HTTP)).text(), "GET ");
  const transport = new Transport({ tls: { ca: CA }, nextProtocols: { h2: h2() } });
  const client = new Client({ transport: withRetry(transport) });
  same(await (await client.get(HTTPS)).text(), "GET ");
  same(await (await client.post(HTTP, { body: "hello" })).text(), "POST hello");
  same(await (await client.post(HTTPS, { json: { a: 1 } })).text(), 'POST {"a":1}');
  same(await (await client.fetch(HTTP, { method: "PUT", body: "x" })).text(), "PUT x");
  same(await (await get(HTTP + "gzip", { headers: { "x-a": "b" } })).text(), "GET ");
  const inspector = await transport.serveInspector();
  same((await (await get(inspector.url)).text()).startsWith("<!doctype html>"), true);
  await inspector.close();
  const failed = await get("http://127.0.0.1:1/").catch((error) => error);
  same(failed instanceof DialError && failed.name + " " + failed.constructor.name, "DialError DialError");
  await transport.close();
  console.log("came to its end");
}
main();
`;

let failed = 0;
let passed = 0;

async function check(what: string, act: () => Promise<string>): Promise<void> {
  try {
    console.log(`ok      ${what}${await act()}`);
    passed++;
  } catch (error) {
    failed++;
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string }; // execFile's own
    console.log(`FAILED  ${what}\n${stdout}${stderr === "" ? message : stderr}`);
  }
}

const folder = mkdtempSync(join(tmpdir(), "persistconn-bundles-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
// Sources in one folder, where the package is to be had; what is made of them in another, where it is not.
const made = join(folder, "made");
const sources = join(folder, "sources");
mkdirSync(made);
mkdirSync(join(sources, "node_modules"), { recursive: true });
symlinkSync(root, join(sources, "node_modules/persistconn"));
writeFileSync(join(sources, "program.mjs"), PROGRAM);

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
  let body = "";
  for await (const chunk of req) body += chunk;
  res.end(`${req.method} ${body}`);
};
const authority = new CertificateAuthority();
const plain = createServer(answer);
const secure = createTlsServer(authority.issue({ names: ["IP:127.0.0.1"] }), answer);
const env = {
  HTTP: `http://127.0.0.1:${await listening(plain)}/`,
  HTTPS: `https://127.0.0.1:${await listening(secure)}/`,
  CA: authority.cert,
};

async function comesToItsEnd(command: string, args: readonly string[]): Promise<void> {
  const { stdout } = await run(command, args, { cwd: made, env, timeout: 60_000 });
  if (stdout !== "came to its end\n") throw new Error(`it printed ${JSON.stringify(stdout)}`);
}

const oldest = nodeOf(NODES[0]);
for (const [format, file] of [
  ["esm", "program.mjs"],
  ["cjs", "program.cjs"],
] as const) {
  await check(`${oldest.name}, bundled by esbuild, ${format}`, async () => {
    const { warnings } = await build({
      entryPoints: [join(sources, "program.mjs")],
      outfile: join(made, file),
      bundle: true,
      platform: "node",
      target: "node20.19",
      format,
      logLevel: "silent",
    });
    if (warnings.length > 0) throw new Error(warnings.map(({ text }) => text).join("\n"));
    await comesToItsEnd(oldest.path, [file]);
    return `, ${Math.round(statSync(join(made, file)).size / 1024)} KiB`;
  });
}

await check(`${oldest.name}, as a single executable`, async () => {
  const executable = join(made, "program");
  const config = { main: "program.cjs", output: "program.blob", disableExperimentalSEAWarning: true };
  writeFileSync(join(made, "sea.json"), JSON.stringify(config));
  await run(oldest.path, ["--experimental-sea-config", "sea.json"], { cwd: made });
  copyFileSync(oldest.path, executable);
  chmodSync(executable, 0o755);
  const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
  const args = [executable, "NODE_SEA_BLOB", join(made, "program.blob"), "--sentinel-fuse", fuse];
  await run(process.execPath, [join(root, "node_modules/postject/dist/cli.js"), ...args], { timeout: 300_000 });
  await comesToItsEnd(executable, []);
  return "";
});

for (const server of [plain, secure]) {
  server.closeAllConnections();
  server.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
