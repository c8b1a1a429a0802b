/** The marks of .build/pure.ts: what nobody uses goes from a bundle, and nothing else changes. */

import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { marked } from "../../.build/pure.ts";

/** What a bundler keeps of a module that nobody uses a name of. */
async function left(code: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: code },
    bundle: true,
    format: "esm",
    minifySyntax: true,
    minifyWhitespace: true,
    write: false,
    logLevel: "silent",
  });
  return outputFiles[0]!.text.trim(); // one is asked for
}

const NAME = 'const shown = Symbol.for("shown"); export { shown };';

describe("marked()", () => {
  test.each([
    ["a call", "const x = Object.freeze([]);"],
    ["a call of a call", "const x = Object.freeze(Object.assign({}, [1])); const y = Object.keys({}).map(String);"],
    ["an instance", "const x = new Set([1, 2]), y = new Map(), z = new Set([[1], []].map(String));"],
    ["a spread", 'const a = ["x"]; const x = [...a, "y"]; const y = { ...a };'],
    ["what a name leads to", "const x = Date.now; const y = Math.PI * 2;"],
    ["a computed name", '{ }; const a = Symbol.for("a"); const x = { [a]: 1 };'],
    ["a variable that changes", "let x = new Uint8Array(0); function grow() { x = new Uint8Array(x.length + 1); }"],
    ["a class with a computed name", 'const a = Symbol.for("a"); class X { #b = 1; [a]() { return this.#b; } }'],
    ["a class of it", 'const a = Symbol.for("a"); class X { [a]() {} } class Y extends X { [a]() {} }'],
    ["a class with a static field", "class X { static all = [].map(String); }"],
  ])("%s goes where it is not used, and stays without the mark", async (_, code) => {
    expect(await left(code)).not.toBe("");
    expect(await left(marked(code))).toBe("");
  });

  test.each([
    ["a statement", "globalThis.told = true;"],
    [
      "a class that hands a function out",
      "let peek; class X { #a = 1; [Symbol.for('a')]() {} static { peek = (x) => x.#a; } }",
    ],
  ])("%s stays", async (_, code) => {
    expect(marked(code)).toBe(code);
    expect(await left(marked(code))).not.toBe("");
  });

  test("what bundlers see by themselves, or was marked, is left alone", () => {
    const code = `const a = 1, b = -1, c = "x", d = /x/, e = [1, null], f = { a, g: true, h() {} }, i = () => f();
      const j = /* @__PURE__ */ new WeakMap(); let k; function l() { const m = [...e]; } class N { #o = l(); p = f(); }`;
    expect(marked(code)).toBe(code);
  });

  test("what is made is what was made, under its name", async () => {
    const code = `${NAME} class X { static all = [1]; [shown]() { return [...X.all, X.name]; } }
      const y = [...new X()[shown](), ({ ...[2] })[0]]; export { X, y };`;
    const { X, y } = await import(`data:text/javascript,${encodeURIComponent(marked(code))}`);
    expect([X.name, y]).toEqual(["X", [1, "X", 2]]);
  });
});
