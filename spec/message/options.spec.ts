import { describe, expect, test } from "vitest";
import { kindOf, nearestName, unknownOption, wrongType } from "../../lib/message/options.ts";

describe("options", () => {
  const known = ["method", "headers", "body", "json"];
  test.each([
    ["metod", "method"],
    ["Method", "method"],
    ["header", "headers"],
    ["jsn", "json"],
    ["credentials", null],
    ["", null],
    ["x".repeat(100), null],
  ])("nearestName(%j) is %j", (name, near) => {
    expect(nearestName(name, known)).toBe(near);
  });

  test("unknownOption() tells the nearest name, or all of them", () => {
    expect(unknownOption("metod", known).message).toBe('Unknown option "metod": did you mean method?');
    expect(unknownOption("zzzzzzzz", known).message).toContain("the options are method, headers, body, json");
  });

  test("wrongType() and kindOf() never show a value", () => {
    expect(wrongType("method", "a string", { secret: 1 }).message).toBe("Option method must be a string: it is Object");
    expect([kindOf(null), kindOf(undefined), kindOf([]), kindOf("s"), kindOf(new Map())]).toEqual([
      "null",
      "undefined",
      "Array",
      "string",
      "Map",
    ]);
  });
});
