/**
 * Takes llhttp's WASM out of the pinned `llhttp-wasm` package and writes it as a module of its own, so that what is
 * published has no runtime dependency. Run by `npm run prepare` and by the Makefile.
 *
 * The package embeds the binary as one base64 literal and exports no way to it, hence the search in its source. The
 * length and the SHA-256 are checked: another binary is another parser, and the rules in ../README.md were found by
 * looking at this one.
 *
 * Never prints to stdout: `prepare` runs inside `npm pack --json`, whose answer that would spoil. Passes quietly where
 * the package is absent but the module is there (an install without development dependencies).
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSION = "1.0.3";
const BYTES = 60_347;
const SHA256 = "259f8302ac0f7fd7d38469e0d16b505e59c6b432cc5eb856be4d012260de0e11";

const output = join(dirname(fileURLToPath(import.meta.url)), "generated", "llhttp-wasm.ts");

function packageFolder() {
  try {
    return dirname(createRequire(import.meta.url).resolve("llhttp-wasm/package.json"));
  } catch {
    return null;
  }
}

function fail(message) {
  process.stderr.write(`extract-wasm: ${message}\n`);
  process.exit(1);
}

const folder = packageFolder();
if (folder === null) {
  if (existsSync(output)) process.exit(0);
  fail("the development dependency llhttp-wasm is not installed, and generated/llhttp-wasm.ts is not there");
}

const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
if (version !== VERSION) fail(`llhttp-wasm is ${version}, not the pinned ${VERSION}`);

// "AGFzbQ" is the magic number of a WASM binary, NUL "asm", in base64.
const literal = /["'`](AGFzbQ[A-Za-z0-9+/]+={0,2})["'`]/.exec(readFileSync(join(folder, "out", "index.js"), "utf8"));
if (literal === null) fail("llhttp-wasm holds no WASM literal");

const base64 = literal[1];
const binary = Buffer.from(base64, "base64");
if (binary.length !== BYTES) fail(`the WASM has ${binary.length} bytes, not ${BYTES}`);
const sha256 = createHash("sha256").update(binary).digest("hex");
if (sha256 !== SHA256) fail(`the WASM has the SHA-256 ${sha256}, not ${SHA256}`);

const text = `// Written by lib/wire/llhttp/extract-wasm.mjs from llhttp-wasm ${VERSION}; MIT, see LICENSE. SHA-256 ${SHA256}.
export const LLHTTP_WASM_BYTES = ${BYTES};
export const LLHTTP_WASM_BASE64: string =
  "${base64}";
`;

// Written only when it changes, and by a rename, so that a build beside us never sees half a file or a new time stamp.
if (!existsSync(output) || readFileSync(output, "utf8") !== text) {
  mkdirSync(dirname(output), { recursive: true });
  const partial = `${output}.${process.pid}`;
  writeFileSync(partial, text);
  renameSync(partial, output);
}
