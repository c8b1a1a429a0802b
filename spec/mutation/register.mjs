/** Puts `vitest-in-process.ts` in the place of "vitest", for `node --import`. */

import { register } from "node:module";

const stand = new URL("./vitest-in-process.ts", import.meta.url).href;
const hooks = `export const resolve = (specifier, context, next) =>
  next(specifier === "vitest" ? ${JSON.stringify(stand)} : specifier, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
