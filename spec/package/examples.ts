/**
 * The examples of a page, as a reader would paste them: each block of TypeScript by itself, in the form of any module
 * system. Pure.
 */

import ts from "typescript";

export interface Example {
  /** The heading above it, and its number there where there are several. */
  readonly name: string;
  /** TypeScript, an ES module. */
  readonly code: string;
}

/** A row of a table "if you know X": what is written there, and here. */
export interface Rendering {
  readonly there: string;
  /** One or more snippets, each an expression or a statement. */
  readonly here: readonly string[];
}

/** Blocks that are marked plain `ts`; others name who runs them. */
export function examplesIn(page: string): Example[] {
  const examples: Example[] = [];
  let heading = "";
  let inBlock = false;
  let code: string[] = [];
  for (const line of page.split("\n")) {
    if (inBlock && line === "```") {
      const before = examples.filter(({ name }) => name === heading || name.startsWith(`${heading}, `)).length;
      examples.push({ name: before === 0 ? heading : `${heading}, ${before + 1}`, code: `${code.join("\n")}\n` });
      inBlock = false;
    } else if (inBlock) code.push(line);
    else if (line === "```ts") {
      inBlock = true;
      code = [];
    } else if (line.startsWith("#")) heading = line.replace(/^#+ /, "");
  }
  return examples;
}

/** The rows of the tables under a heading, whose last column says how it is written here. */
export function renderingsIn(page: string, heading: string): Rendering[] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| ---"));
  return rows.flatMap((row) => {
    const [there = "", here = ""] = row.slice(2, -2).split(" | ");
    const snippets = [...here.matchAll(/`([^`]+)`/g)].map(([, snippet]) => snippet as string); // the group is in the match
    return snippets.length === 0 ? [] : [{ there, here: snippets }];
  });
}

/** Without its types. */
export function asJavaScript(code: string): string {
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  return ts.transpileModule(code, { compilerOptions: options }).outputText.replace(/^export \{\};\n/m, "");
}

/** As a CommonJS file: `require`, and a function for what awaits. */
export function asCommonJs(code: string): string {
  const imports = /^import (?:(\w+)|\{([^}]*)\}) from "([^"]+)";\n/gm;
  const required = (_: string, whole: string | undefined, names: string | undefined, from: string) =>
    whole === undefined
      ? `const {${names?.replaceAll(" as ", ": ")}} = require("${from}");\n`
      : `const ${whole} = require("${from}");\n`;
  const script = asJavaScript(code).replaceAll(imports, required);
  const lines = script.split("\n");
  const body = lines.findLastIndex((line) => line.includes("require(")) + 1;
  return [...lines.slice(0, body), "(async () => {", ...lines.slice(body), "})();", ""].join("\n");
}
