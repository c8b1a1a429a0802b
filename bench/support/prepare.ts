/**
 * What must be made before anything is measured: plain JavaScript of the processes, the Go program, the certificate.
 * The compiled files go to bench/dist (ignored by git, and below bench/node_modules' reach, where undici is found);
 * the rest goes to a directory that is removed when the bench exits.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { selfSigned } from "./certificate.ts";

/**
 * Compiles the files that run in the measured processes. They run without a loader: one would stay in the process, and
 * wraps functions to keep their names, which costs where functions are made on the hot path.
 */
export function compile(benchDir: string): string {
  const outDir = join(benchDir, "dist");
  const sources = ["worker.ts", "cold-worker.ts", "responder.ts", "scenarios.ts", "statistics.ts"];
  for (const folder of ["contestants", "growth", "micro", "support"]) {
    for (const file of readdirSync(join(benchDir, folder))) {
      if (file.endsWith(".ts") && !file.endsWith(".d.ts")) sources.push(join(folder, file));
    }
  }
  for (const source of sources) {
    const fileName = join(benchDir, source);
    const { outputText } = ts.transpileModule(readFileSync(fileName, "utf8"), {
      fileName,
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    const out = join(outDir, source.replace(/\.ts$/, ".js"));
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(out, outputText);
  }
  return outDir;
}

/**
 * Our sources as JavaScript, each a file by itself with every name as it was written: what is published is rolled up, so
 * that no part of it can be measured alone, nor its trace calls be found.
 *
 * @returns `outDir`, whose layout is that of lib/
 */
export function compileParts(root: string, outDir: string): string {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const args = [
    tsc,
    "-p",
    join(root, "lib", "tsconfig.json"),
    "--outDir",
    outDir,
    "--noCheck",
    "--declaration",
    "false",
  ];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`Cannot compile lib/: ${stdout}`);
  writeFileSync(join(outDir, "package.json"), '{"type":"module"}');
  return outDir;
}

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Writes certificate and key; they serve one run. */
export function makeCertificate(dir: string): Certificate {
  const { cert, key } = selfSigned();
  const files = { certFile: join(dir, "cert.pem"), keyFile: join(dir, "key.pem") };
  writeFileSync(files.certFile, cert);
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  return files;
}

/**
 * Builds the Go contestant.
 *
 * @param mayInstall whether a missing Go may be installed, with apt-get and as root
 * @returns the program and its Go's version, or why there is none
 */
export function buildGo(
  benchDir: string,
  outDir: string,
  mayInstall: boolean,
  note: (text: string) => void,
): { program: string; version: string } | { missing: string } {
  let version = goVersion();
  if (version === null && mayInstall && process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0) {
    note("go: not found; installing golang-go with apt-get");
    const apt = (...args: string[]) => spawnSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=120", ...args]);
    apt("update");
    apt("install", "-y", "--no-install-recommends", "golang-go");
    version = goVersion();
  }
  if (version === null) return { missing: "go is not installed" };
  const program = join(outDir, "go-contestant");
  const build = spawnSync("go", ["build", "-o", program, "."], { cwd: join(benchDir, "go"), encoding: "utf8" });
  if (build.status !== 0) throw new Error(`Cannot build the Go contestant: ${build.stderr}`);
  return { program, version };
}

function goVersion(): string | null {
  const { status, stdout } = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : null;
}

/** Finds our built entry point, and tells when sources are newer than it: old code would be measured unnoticed. */
export function findDist(root: string, note: (text: string) => void): string {
  const entry = join(root, "dist", "index.js");
  if (!existsSync(entry))
    throw new Error(`Cannot measure persistconn: ${entry} is missing; run \`npm run build\` first`);
  const built = statSync(entry).mtimeMs;
  const newer = newest(join(root, "lib"));
  if (newer.mtimeMs > built)
    note(`persistconn: ${newer.path} is newer than dist/index.js; run \`npm run build\` to measure it`);
  return entry;
}

function newest(dir: string): { path: string; mtimeMs: number } {
  let result = { path: dir, mtimeMs: 0 };
  for (const file of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts")) continue;
    const path = join(dir, file);
    const { mtimeMs } = statSync(path);
    if (mtimeMs > result.mtimeMs) result = { path, mtimeMs };
  }
  return result;
}
