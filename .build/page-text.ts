/**
 * The scripts and sheets of our pages are text in the sources, written to be read. Here they are spelled shorter, each by
 * itself: names at the top of a script stay, since others are put before and after it.
 */

import { transform } from "esbuild";
import type { Plugin } from "rollup";

const FILES = /\/observe\/(page-common|page-script|page-style|inspector\/page)\.ts$/;
/** `const NAME = \`${OTHER}…\`;` where the name says what it is. */
const TEXT = /const (\w*(STYLE|SCRIPT)) = `(?:\$\{(\w+)\})?\n([^`]*)`;/g;

export function pageText(): Plugin {
  return {
    name: "page-text",
    async transform(code, id) {
      if (!FILES.test(id)) return null;
      const found = [...code.matchAll(TEXT)];
      if (found.length === 0)
        throw new Error(`Cannot shorten the texts of ${id}: it has none of the form that is known`);
      let shortened = code;
      for (const [whole, name, kind, before, text = ""] of found) {
        const { code: short } = await transform(unescaped(text), {
          loader: kind === "STYLE" ? "css" : "js",
          minify: true,
          target: "es2022",
        });
        const value = `${before === undefined ? "" : `${before} + `}${JSON.stringify(short)}`;
        shortened = shortened.replace(whole, () => `const ${name} = ${value};`);
      }
      return { code: shortened, map: null };
    },
  };
}

/** What the body of a template literal without expressions is worth. */
function unescaped(body: string): string {
  if (body.includes("${")) throw new Error("Cannot shorten a text: it has an expression in its middle");
  return body.replace(/\\(\\|`|\$|u[0-9a-f]{4}|n)/g, (_, named: string) =>
    JSON.parse(`"${named === "`" || named === "$" ? named : `\\${named}`}"`),
  );
}
