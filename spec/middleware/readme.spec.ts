/** The examples of lib/middleware/README.md, and that it names all there is. */

import { describe, expect, test } from "vitest";
import { readmeExamples, runExamples } from "../support/readme-examples.ts";

const { readme, examples } = readmeExamples("lib/middleware/README.md");

describe("lib/middleware/README.md", () => {
  runExamples(examples);

  test("names everything that is exported", async () => {
    const names = Object.keys(await import("../../lib/middleware.ts"));
    expect(names.filter((name) => !readme.includes(`\`${name}`))).toEqual([]);
    expect(examples).toHaveLength(5);
  });

  test("says the defaults that there are", () => {
    for (const words of ["`baseDelay` (200 ms)", "`maxDelay` (20 s)", "`maxRetryAfter` (60 s)", "`maxAttempts` (3)"]) {
      expect(readme).toContain(words);
    }
  });
});
