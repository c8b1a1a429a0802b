/** What the pool does for connections that many share: they are lent as long as somebody uses them, and idle as others are. */

import { expect, test } from "vitest";
import { Harness } from "./harness.ts";

test("Pool.dialed() lends a shared connection to who counted on the dial, whoever began it", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.get("a");
  h.pool.dialed(h.slot(1), 1, true);
  expect(h.did).toEqual(["dial 1 for a", "a has 1"]);
  h.get("b");
  expect(h.did).toEqual([]); // it is not the pool that shares it
  h.pool.remove(h.slot(1));
  expect(h.did).toEqual(["dial 2 for b"]);
});

test("Pool.claim() takes an idle connection out of turn, and no other", () => {
  const h = new Harness({});
  h.get("a");
  h.pool.dialed(h.slot(1), 1, true);
  expect(h.pool.claim(h.slot(1))).toBe(false);
  h.put(1);
  h.did;
  expect(h.pool.claim(h.slot(1))).toBe(true);
  expect(h.pool.stats()).toMatchObject({ busy: 1, idle: 0 });
  h.put(1);
  expect(h.pool.stats()).toMatchObject({ busy: 0, idle: 1 });
});

test("Pool.get() that takes only what is dialed for it leaves idle ones alone where a slot is free", () => {
  const h = new Harness({});
  h.get("a");
  h.dialed(1);
  h.put(1);
  h.did;
  h.get("b", "k", true);
  expect(h.did).toEqual(["dial 2 for b"]);
  expect(h.pool.stats()).toMatchObject({ idle: 1, dialing: 1 });
});
