/** extract-wasm.mjs as npm runs it: quiet, and happy without the packages where its output is there. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { LLHTTP_WASM_BROTLI, LLHTTP_WASM_BYTES } from "../../lib/wire/llhttp/generated/llhttp-wasm.ts";
import { SPANS_WASM_BASE64 } from "../../lib/wire/llhttp/generated/spans-wasm.ts";

const folder = fileURLToPath(new URL("../../lib/wire/llhttp/", import.meta.url));
const modules = ["llhttp-wasm.ts", "spans-wasm.ts"];
/** A checkout in which no package is installed. */
const bare = mkdtempSync(join(tmpdir(), "extract-wasm-"));
cpSync(join(folder, "extract-wasm.mjs"), join(bare, "extract-wasm.mjs"));
afterAll(() => rmSync(bare, { recursive: true }));

const run = (where: string) => spawnSync(process.execPath, [join(where, "extract-wasm.mjs")], { encoding: "utf8" });

test("the module holds the pinned binary, and running again leaves it alone", () => {
  const times = () => modules.map((name) => statSync(join(folder, "generated", name)).mtimeMs);
  const before = times();
  expect(run(folder)).toMatchObject({ status: 0, stdout: "", stderr: "" });
  expect(times()).toEqual(before);
  const binary = brotliDecompressSync(Buffer.from(LLHTTP_WASM_BROTLI, "base64"));
  expect(binary.length).toBe(LLHTTP_WASM_BYTES);
  expect(LLHTTP_WASM_BROTLI.length).toBeLessThan(LLHTTP_WASM_BYTES * 0.35);
  expect(createHash("sha256").update(binary).digest("hex")).toBe(
    "259f8302ac0f7fd7d38469e0d16b505e59c6b432cc5eb856be4d012260de0e11",
  );
});

test("the callbacks are assembled from their source", () => {
  const binary = Buffer.from(SPANS_WASM_BASE64, "base64");
  expect(binary.subarray(0, 4).toString("latin1")).toBe("\0asm");
  expect(binary.length).toBeLessThan(1000);
});

test("without the package and without the module it says what is missing, on stderr", () => {
  const { status, stdout, stderr } = run(bare);
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("llhttp-wasm is not installed");
});

test("without the packages but with the modules it passes quietly; without the second one it says so", () => {
  mkdirSync(join(bare, "generated"));
  const copy = (name: string) =>
    writeFileSync(join(bare, "generated", name), readFileSync(join(folder, "generated", name)));
  copy("llhttp-wasm.ts");
  const { status, stderr } = run(bare);
  expect(status).toBe(1);
  expect(stderr).toContain("wabt is not installed");
  copy("spans-wasm.ts");
  expect(run(bare)).toMatchObject({ status: 0, stdout: "", stderr: "" });
});

test("with another version of the package it refuses", () => {
  const other = join(bare, "node_modules", "llhttp-wasm");
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, "package.json"), JSON.stringify({ name: "llhttp-wasm", version: "9.9.9" }));
  const { status, stdout, stderr } = run(bare);
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("9.9.9, not the pinned 1.0.3");
});

test("with another binary in the package it refuses", () => {
  const other = join(bare, "node_modules", "llhttp-wasm");
  writeFileSync(join(other, "package.json"), JSON.stringify({ name: "llhttp-wasm", version: "1.0.3" }));
  mkdirSync(join(other, "out"), { recursive: true });
  const changed = brotliDecompressSync(Buffer.from(LLHTTP_WASM_BROTLI, "base64"));
  changed[changed.length - 1]! ^= 1;
  writeFileSync(join(other, "out", "index.js"), `let binaryString = "${changed.toString("base64")}";`);
  const { status, stderr } = run(bare);
  expect(status).toBe(1);
  expect(stderr).toContain("SHA-256");
});
