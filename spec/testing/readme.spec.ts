/** The examples of lib/testing/README.md, and that it names all there is. */

import { describe, expect, test } from "vitest";
import { readmeExamples, runExamples } from "../support/readme-examples.ts";

const { readme, examples } = readmeExamples("lib/testing/README.md");

describe("lib/testing/README.md", () => {
  test("has examples for both runners, and a property test of a protocol that is not HTTP", () => {
    expect(new Set(examples.map(({ runner }) => runner))).toEqual(new Set(["vitest", "node:test"]));
    const stranger = examples.find(({ code }) => code.includes("toy.test"));
    const [, body = ""] = stranger?.code.split("\ntest(") ?? [];
    expect(body.split("\n").length).toBeLessThanOrEqual(30);
    expect(stranger?.code.match(/from "([^"]+)"/g)).toEqual([
      'from "fast-check"',
      'from "vitest"',
      'from "persistconn/testing"',
    ]);
  });

  runExamples(examples);

  test("names every preset, and every preset that it names is there", async () => {
    const kit: Record<string, unknown> = await import("../../lib/testing/index.ts");
    const functions = Object.keys(kit).filter((name) => typeof kit[name] === "function" && !/^[A-Z]/.test(name));
    const named = new Set([...readme.matchAll(/`(\w+)\(/g)].map(([, name]) => name));
    expect(functions.filter((name) => !named.has(name) && name !== "answerBytes")).toEqual([]);
  });
});
