/** Leaves out, in runs against mutants, the tests that `areas.ts` calls too slow. */

import { beforeEach } from "vitest";
import { TOO_SLOW } from "./areas.ts";

beforeEach(({ task, skip }) => {
  if (TOO_SLOW.some((part) => task.name.endsWith(part))) skip();
});
