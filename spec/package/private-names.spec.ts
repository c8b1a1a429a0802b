/** The spelling of .build/private-names.ts: short, and nothing that a program could tell. */

import { describe, expect, test } from "vitest";
import { withShortPrivateNames } from "../../.build/private-names.ts";

describe("withShortPrivateNames()", () => {
  const fields = Array.from({ length: 60 }, (_, i) => `#field${i} = ${i};`).join(" ");
  const sum = Array.from({ length: 60 }, (_, i) => `this.#field${i}`).join(" + ");

  test("each class has the shortest there are, the ones that are used most first", () => {
    expect(withShortPrivateNames("class A { #seldom; #often = this.#often; } class B { #other; }")).toBe(
      "class A { #b; #a = this.#a; } class B { #a; }",
    );
  });

  test.each([
    ["many", `class A { ${fields} sum() { return ${sum}; } } export const value = new A().sum();`, 1770],
    [
      "a class in a class, which sees the names of both",
      `class A { #one = 1; #both = 2; inner() { const outer = this;
         return new (class { #two = 10; #both = 20; sum() { return outer.#one + this.#two + this.#both; } })().sum(); }
         static is(x) { return #both in x; } get #got() { return this.#both; } sum() { return this.#got; } }
       const a = new A(); export const value = [a.inner(), a.sum(), A.is(a), A.is({})];`,
      [31, 2, true, false],
    ],
    ["none", "export const value = '#a'.length;", 2],
  ])("%s: the same outcome", async (_, code, outcome) => {
    const { value } = await import(`data:text/javascript,${encodeURIComponent(withShortPrivateNames(code))}`);
    expect(value).toEqual(outcome);
  });

  test("a name that no class has is refused", () => {
    expect(() => withShortPrivateNames("class A { b() { return this.#c; } }")).toThrow("no class around it has it");
  });
});
