/** The guides' made parts are current: the diagrams are the tables', and each script prints what its chapter shows. */

import { expect, test } from "vitest";
import { madeAnew, PAGES, readPage, SCRIPTS } from "./pages.ts";

// Where Node has zstd we may ask for it, and then each head on the page is six bytes longer.
test.skipIf(process.versions["zstd"] !== undefined).each(Object.keys(PAGES))(
  "%s is current; `make tour` writes it anew",
  async (page) => {
    expect(await madeAnew(page)).toBe(readPage(page));
  },
  120_000,
);

test("the tour has a chapter for each script, and says how to run it", () => {
  const page = readPage("spec/tour/README.md");
  for (const name of SCRIPTS) expect(page).toContain(`npx tsx spec/tour/${name}.ts`);
});
