import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const here = new URL(".", import.meta.url);
const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", here));

/** What the compiler says about a project; empty when it is content. */
function compile(project: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, "-p", project], { cwd: here }, (error, stdout, stderr) => {
      resolve(error === null ? "" : `${stdout}${stderr}`);
    });
  });
}

test.each([
  ["lib.dom", "tsconfig.dom.json"],
  ["the types of Node alone", "tsconfig.node.json"],
])("Response, Headers and bodies fit the platform's types with %s", { timeout: 60_000 }, async (_, project) => {
  expect(await compile(project)).toBe("");
});
