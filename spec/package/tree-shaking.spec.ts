/**
 * What a bundler takes of the library into a program that imports one name, by esbuild's own account: of each of our files,
 * the bytes that are left of it. .build/package.ts holds the sum of it as published, where all these are one file.
 */

import { fileURLToPath } from "node:url";
import { build, type Metafile } from "esbuild";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Bundles a program, with a file of its own for what is loaded later, as the sources do. */
async function bundled(program: string): Promise<Metafile> {
  const { metafile } = await build({
    stdin: { contents: program, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    minify: true,
    splitting: true,
    platform: "node",
    format: "esm",
    outdir: "nowhere",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  return metafile;
}

/** The files that are there from the start, with what is left of them. */
function atOnce({ outputs }: Metafile): Map<string, number> {
  const files = new Map<string, number>();
  const first = Object.keys(outputs).filter((path) => outputs[path]?.entryPoint === "<stdin>");
  const reached = new Set(first);
  for (const path of reached) {
    const output = outputs[path];
    if (output === undefined) continue; // a module of Node's
    for (const { kind, path: imported } of output.imports) if (kind === "import-statement") reached.add(imported);
    for (const [file, { bytesInOutput }] of Object.entries(output.inputs)) {
      if (bytesInOutput > 0 && file !== "<stdin>") files.set(file.replace("lib/", ""), bytesInOutput);
    }
  }
  return files;
}

const sum = (files: Map<string, number>) => [...files.values()].reduce((all, bytes) => all + bytes, 0);
const folders = (files: Map<string, number>) =>
  [...new Set([...files.keys()].map((file) => (file.includes("/") ? file.split("/")[0] : "")))].sort();

describe("a bundle of one name", () => {
  test("`get` has the core, and neither the command, the live view, HTTP/2, caching, middleware, adapters nor testing", async () => {
    const files = atOnce(await bundled('import { get } from "./lib/index.ts"; get("http://127.0.0.1/");'));
    // `client.fetch` is a member of what `get` goes through, and the default client asks the environment for proxies.
    expect(folders(files)).toEqual(["", "conn", "fetch", "message", "pool", "proxy", "wire"]);
    for (const left of ["write-request", "httptrace", "address-policy"]) {
      expect([...files.keys()]).not.toContain(`${left}.ts`);
    }
    expect(sum(files)).toBeLessThan(262_000);
  });

  test("`get` has of fetch and of proxies no more than is named here, in bytes", async () => {
    const files = atOnce(await bundled('import { get } from "./lib/index.ts"; get("http://127.0.0.1/");'));
    const of = (folder: string) => sum(new Map([...files].filter(([file]) => file.startsWith(`${folder}/`))));
    expect(of("fetch")).toBeLessThan(8_500);
    expect(of("proxy")).toBeLessThan(8_000);
  });

  test.each([
    ["Headers", ["errors.ts", "message/headers.ts", "message/options.ts", "secrets.ts", "wire/abnf.ts"], 6_500],
    ["HttpError", ["errors.ts", "secrets.ts"], 1_500],
  ])("%s alone has what it needs", async (name, needed, bytes) => {
    const files = atOnce(await bundled(`import { ${name} } from "./lib/index.ts"; console.log(${name});`));
    expect([...files.keys()].sort()).toEqual(needed);
    expect(sum(files)).toBeLessThan(bytes);
  });

  test("`get` has nothing at all where it is not used", async () => {
    expect(atOnce(await bundled('import { get } from "./lib/index.ts";'))).toEqual(new Map());
  });
});
