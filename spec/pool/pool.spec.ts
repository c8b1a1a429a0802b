import { expect, test } from "vitest";
import { Harness } from "./harness.ts";

test("Pool.get() dials when nothing is idle, and the product goes straight to its want", () => {
  const h = new Harness();
  h.get("a");
  expect(h.did).toEqual(["dial 1 for a"]);
  h.dialed(1);
  expect(h.did).toEqual(["a has 1"]);
});

test("Pool.get() gives an idle connection at the end of a turn", () => {
  const h = new Harness();
  h.warm(1);
  h.get("a");
  expect(h.did).toEqual([]);
  h.turn();
  expect(h.did).toEqual(["a has 1 (reused)"]);
});
