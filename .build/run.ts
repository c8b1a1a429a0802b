/**
 * Makes dist/, which is what is published: `tsx .build/run.ts [FOLDER]`. Takes the sources once through the compiler, for
 * their declarations, and rolls code and declarations up into a few files.
 *
 * The core is one file, whatever subpath it is reached by: a process that starts reads two files instead of a hundred,
 * which is most of what an import costs, and errors are of the same class for everybody. Names of functions and classes
 * stay, so that a stack trace and `util.inspect` say what the sources say; local and private names do not. Comments stay in
 * the declarations, where editors show them.
 *
 * Never: changes what is run by more than its spelling (no function is moved into another, but for classes that stand in one
 * which runs once: pure.ts), or makes a source map.
 */

import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { type OutputChunk, type Plugin, rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import { minify } from "terser";
import { entries, PROGRAMS } from "./entries.ts";
import { pageText } from "./page-text.ts";
import { withShortPrivateNames } from "./private-names.ts";
import { marked } from "./pure.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const lib = join(root, "lib");
const out = resolve(process.argv[2] ?? join(root, "dist"));
const compiled = mkdtempSync(join(tmpdir(), "persistconn-build-"));
process.on("exit", () => rmSync(compiled, { recursive: true, force: true }));

/** Stays where somebody bundles the package, as the licence of what it carries demands. */
const NOTICE =
  "/*! persistconn, MIT License; carries llhttp, MIT License, Copyright Fedor Indutny, 2018: see its file LICENSE */";
/** Columns after which a line is broken: an uncaught error prints the line that it was thrown in. */
const LINE = 160;

const isOurs = (id: string): boolean => id.startsWith(".") || id.startsWith("/");

/** Takes the types away, and nothing else. */
const types: Plugin = {
  name: "types",
  async transform(code, id) {
    const tsconfigRaw = { compilerOptions: { target: "es2022", verbatimModuleSyntax: true } };
    const { code: plain } = await transform(code, { loader: "ts", target: "node20.19", tsconfigRaw, sourcefile: id });
    return { code: plain, map: null };
  },
};

const spelling: Plugin = {
  name: "spelling",
  async renderChunk(code) {
    const { code: short } = await minify(code, {
      module: true,
      ecma: 2020,
      compress: {
        passes: 2,
        keep_fnames: true,
        keep_classnames: true,
        // These move functions to where they are called, and make a closure for each call.
        inline: 0,
        reduce_funcs: false,
        reduce_vars: false,
        collapse_vars: false,
        hoist_props: false,
      },
      mangle: { keep_fnames: true, keep_classnames: true },
      format: { comments: /^!/, preserve_annotations: true, max_line_len: LINE },
    });
    return { code: withShortPrivateNames(short ?? code), map: null };
  },
};

const purity: Plugin = { name: "purity", renderChunk: (code) => ({ code: marked(code), map: null }) };

/**
 * The core: what `import "persistconn"` loads at once, but for the default client. That is made where it is loaded, and
 * other subpaths need none.
 */
function inCore(modules: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const found = new Set([join(lib, "index.ts")]);
  for (const id of found) for (const imported of modules.get(id) ?? []) found.add(imported);
  for (const file of ["index.ts", "default-client.ts"]) found.delete(join(lib, file));
  return found;
}

async function rollUpCode(): Promise<readonly OutputChunk[]> {
  const input = entries(lib, ".ts", PROGRAMS);
  const bundle = await rollup({
    input,
    external: (id) => !isOurs(id),
    treeshake: { moduleSideEffects: false },
    plugins: [pageText(), types, purity, spelling],
    onLog: (level, log) => refuse(level, log.message),
  });
  let core: ReadonlySet<string> | null = null;
  const { output } = await bundle.write({
    dir: out,
    format: "es",
    generatedCode: "es2015",
    hoistTransitiveImports: false,
    chunkFileNames: "shared/[name].js",
    banner: ({ name }) => (name === "core" ? NOTICE : ""),
    manualChunks(id, { getModuleIds, getModuleInfo }) {
      core ??= inCore(new Map([...getModuleIds()].map((each) => [each, getModuleInfo(each)?.importedIds ?? []])));
      return core.has(id) ? "core" : undefined;
    },
  });
  return output.filter((file) => file.type === "chunk");
}

/** What a file says of itself in its head is for who reads the sources; beside it, the head would be its first name's. */
function dropHeads(): void {
  for (const file of readdirSync(compiled, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".d.ts")) continue;
    const source = readFileSync(join(lib, file.replace(/d\.ts$/, "ts")), "utf8");
    const head = /^(?:#!.*\n|\/\/.*\n|\n)*(\/\*\*[\s\S]*?\*\/)/.exec(source)?.[1] ?? "";
    const path = join(compiled, file);
    const text = readFileSync(path, "utf8");
    if (text.startsWith(head)) writeFileSync(path, text.slice(head.length));
  }
}

/** Who does not have an optional peer must not fail to compile for its types. */
const optionalPeers: Plugin = {
  name: "optional-peers",
  renderChunk(code) {
    const manifest: { peerDependenciesMeta: object } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const names = Object.keys(manifest.peerDependenciesMeta).join("|");
    const imported = new RegExp(`^import .* from '(?:${names})';$`, "gm");
    return { code: code.replace(imported, (line) => `// @ts-ignore: an optional peer\n${line}`), map: null };
  },
};

/** The compiler's four blanks a level are a twentieth of all declarations; editors show comments without them. */
const tabs: Plugin = {
  name: "tabs",
  renderChunk: (code) => ({ code: code.replace(/^(?: {4})+/gm, ({ length }) => "\t".repeat(length / 4)), map: null }),
};

async function rollUpTypes(): Promise<void> {
  dropHeads();
  const bundle = await rollup({
    input: entries(compiled, ".d.ts", []),
    external: (id) => !isOurs(id),
    plugins: [dts(), optionalPeers, tabs],
    onLog: (level, log) => refuse(level, log.message),
  });
  await bundle.write({ dir: out, format: "es", entryFileNames: "[name].ts", chunkFileNames: "shared/[name].ts" });
}

function refuse(level: string, message: string): void {
  if (level === "warn") throw new Error(`rollup: ${message}`);
}

const tsc = ["-p", join(root, "lib/tsconfig.json"), "--emitDeclarationOnly", "--outDir", compiled];
execFileSync(join(root, "node_modules/.bin/tsc"), tsc, { stdio: "inherit" });
rmSync(out, { recursive: true, force: true });
await rollUpCode();
await rollUpTypes();
for (const program of PROGRAMS) chmodSync(join(out, `${program}.js`), 0o755);
