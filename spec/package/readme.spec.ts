/**
 * Every example of the README runs as it stands there, and every row of "if you know X" does what it says: in a folder of
 * their own, where `persistconn` is this source tree.
 */

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tempFolder } from "../support/temp-folder.ts";
import { asCommonJs, asJavaScript, examplesIn, renderingsIn } from "./examples.ts";
import { openWorld, type World } from "./world.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const modules = join(root, "node_modules");
const readme = readFileSync(join(root, "README.md"), "utf8");
const examples = examplesIn(readme);
const renderings = renderingsIn(readme, "If you know another client");
const folder = tempFolder("readme");

let world: World;

beforeAll(async () => {
  world = await openWorld();
  const own = join(folder, "node_modules/persistconn");
  mkdirSync(own, { recursive: true });
  symlinkSync(join(root, "lib"), join(own, "lib"));
  // As published, but for what is built: the sources are in its place.
  const published = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const exports = Object.entries<string | { default: string }>(published.exports).flatMap(([path, to]) =>
    typeof to === "string" ? [] : [[path, to.default.replace("./dist/", "./lib/").replace(/\.js$/, ".ts")]],
  );
  const manifest = { name: "persistconn", type: "module", exports: Object.fromEntries(exports) };
  writeFileSync(join(own, "package.json"), JSON.stringify(manifest));
  for (const [name, text] of Object.entries(world.files)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
});
afterAll(() => world[Symbol.asyncDispose]());

/** Runs a file of the folder, and gives what it printed. Throws what it failed with. */
async function run(name: string, code: string): Promise<string> {
  writeFileSync(join(folder, name), code);
  const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
  const tsx = pathToFileURL(join(modules, "tsx/dist/loader.mjs")).href;
  const args = ["--import", tsx, ...world.args, name];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: folder,
    env: { ...env, ...world.env, NODE_EXTRA_CA_CERTS: join(folder, "ca.pem"), NO_COLOR: "1" },
    timeout: 60_000,
  });
  expect(stderr).toBe("");
  return stdout;
}

test("the README has its examples, and renderings of five clients", () => {
  expect(examples.length).toBeGreaterThanOrEqual(10);
  expect(renderings.length).toBeGreaterThanOrEqual(20);
});

describe("the example under", () => {
  test.each(examples.map((example, index) => [example.name, example.code, index] as const))(
    "%s runs",
    async (_, code, index) => {
      await run(`example-${index}.mts`, code);
    },
    90_000,
  );
});

test("each rendering of what another client has runs", async () => {
  const steps = renderings.flatMap(({ there, here }) =>
    here.map((snippet) => `await step(${JSON.stringify(there)}, async () => { ${snippet}; });`),
  );
  const code = `
    import * as all from "persistconn";
    import * as testing from "persistconn/testing";
    import { readFileSync } from "node:fs";
    const { Client, createFetch, get, Headers, proxyFromEnvironment, readResponse, Request, Transport, unixDialer, writeRequest } = all;
    const { clientTrace, fetch } = all;
    const { memoryNetwork, scriptedPeer } = testing;
    const transport = new Transport();
    const client = new Client({ transport });
    const url = "http://127.0.0.1:8080/things";
    const ca = readFileSync("ca.pem");
    const bytes = Buffer.from("HTTP/1.1 204 No Content\\r\\n\\r\\n");
    const signal = AbortSignal.timeout(60_000);
    const request = new Request(url);
    const res = await client.get(url);
    async function step(there, run) {
      try { await run(); } catch (error) { throw new Error(\`in the row of \${there}\`, { cause: error }); }
    }
    ${steps.join("\n")}
    await transport.close();
  `;
  await run("renderings.mts", code);
}, 90_000);

describe("examples as other kinds of files", () => {
  test("lose their types", () => {
    expect(asJavaScript('import type { A } from "a";\nconst a: A = 1;\n')).toBe("const a = 1;\n");
  });

  test("require what they import, and await in a function", () => {
    const code = 'import a from "a";\nimport { b, c as d } from "b";\n\nconsole.log(await b());\n';
    expect(asCommonJs(code)).toBe(
      'const a = require("a");\nconst { b, c: d } = require("b");\n(async () => {\nconsole.log(await b());\n\n})();\n',
    );
  });
});
