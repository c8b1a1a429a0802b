/** How specs run in a tree of mutants: as ever, under another runner. */
import { mergeConfig } from "vitest/config";
import base from "../../vitest.config.ts";

export default mergeConfig(base, { test: { runner: new URL("runner.ts", import.meta.url).pathname } });
