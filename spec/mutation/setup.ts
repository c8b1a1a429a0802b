/** What differs for a test in runs against mutants: the slow ones are left out, and one that waits for ever is ended soon. */

import { beforeEach, inject, vi } from "vitest";
import { TOO_SLOW } from "./areas.ts";

// Without a mutant a test may take as long as a busy machine makes it; with one, it has noticed by then.
const mode: unknown = inject("mode" as never); // provided by Stryker's runner, which declares no type for it
vi.setConfig(
  mode === "mutant" ? { testTimeout: 6_000, hookTimeout: 6_000 } : { testTimeout: 60_000, hookTimeout: 60_000 },
);

beforeEach(({ task, skip }) => {
  if (TOO_SLOW.some((part) => task.name.endsWith(part))) skip();
});
