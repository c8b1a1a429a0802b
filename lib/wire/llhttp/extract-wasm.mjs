/**
 * Takes llhttp's WASM out of the pinned `llhttp-wasm` package and writes it as a module of its own, so that what is
 * published has no runtime dependency; assembles the callbacks of spans.wat into another. Run by `npm run prepare` and by
 * the Makefile.
 *
 * The package embeds the binary as one base64 literal and exports no way to it, hence the search in its source. The
 * length and the SHA-256 are checked: another binary is another parser, and the rules in ../README.md were found by
 * looking at this one. It is written compressed, a quarter as long; what is checked is what comes out of that again, so
 * that it does not matter whose brotli made it.
 *
 * Never prints to stdout: `prepare` runs inside `npm pack --json`, whose answer that would spoil. Passes quietly where
 * the packages are absent but the modules are there (an install without development dependencies).
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync } from "node:zlib";

const VERSION = "1.0.3";
const BYTES = 60_347;
const SHA256 = "259f8302ac0f7fd7d38469e0d16b505e59c6b432cc5eb856be4d012260de0e11";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

function fail(message) {
  process.stderr.write(`extract-wasm: ${message}\n`);
  process.exit(1);
}

/** Written only when it changes, and by a rename, so that a build beside us never sees half a file or a new time stamp. */
function write(output, text) {
  if (existsSync(output) && readFileSync(output, "utf8") === text) return;
  mkdirSync(dirname(output), { recursive: true });
  const partial = `${output}.${process.pid}`;
  writeFileSync(partial, text);
  renameSync(partial, output);
}

/** Whether a package is there; without it, whether what it makes is there already. */
function isInstalled(name, output) {
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch {
    if (!existsSync(output)) fail(`the development dependency ${name} is not installed, and ${output} is not there`);
    return false;
  }
}

function extractLlhttp(output) {
  if (!isInstalled("llhttp-wasm", output)) return;
  const folder = dirname(require.resolve("llhttp-wasm/package.json"));
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  if (version !== VERSION) fail(`llhttp-wasm is ${version}, not the pinned ${VERSION}`);

  // "AGFzbQ" is the magic number of a WASM binary, NUL "asm", in base64.
  const literal = /["'`](AGFzbQ[A-Za-z0-9+/]+={0,2})["'`]/.exec(readFileSync(join(folder, "out", "index.js"), "utf8"));
  if (literal === null) fail("llhttp-wasm holds no WASM literal");

  const compressed = brotliCompressSync(Buffer.from(literal[1], "base64"));
  const binary = brotliDecompressSync(compressed);
  if (binary.length !== BYTES) fail(`the WASM has ${binary.length} bytes, not ${BYTES}`);
  const sha256 = createHash("sha256").update(binary).digest("hex");
  if (sha256 !== SHA256) fail(`the WASM has the SHA-256 ${sha256}, not ${SHA256}`);

  write(
    output,
    `// Written by lib/wire/llhttp/extract-wasm.mjs from llhttp-wasm ${VERSION}; MIT, see LICENSE. SHA-256 ${SHA256}.
export const LLHTTP_WASM_BYTES = ${BYTES};
/** Brotli (RFC 7932), in base64. */
export const LLHTTP_WASM_BROTLI: string =
  "${compressed.toString("base64")}";
`,
  );
}

async function assembleSpans(output) {
  if (!isInstalled("wabt", output)) return;
  const wabt = await require("wabt")();
  const source = wabt.parseWat("spans.wat", readFileSync(join(here, "spans.wat"), "utf8"));
  source.validate();
  const base64 = Buffer.from(source.toBinary({}).buffer).toString("base64");
  write(
    output,
    `// Written by lib/wire/llhttp/extract-wasm.mjs from spans.wat.
export const SPANS_WASM_BASE64: string =
  "${base64}";
`,
  );
}

extractLlhttp(join(here, "generated", "llhttp-wasm.ts"));
await assembleSpans(join(here, "generated", "spans-wasm.ts"));
