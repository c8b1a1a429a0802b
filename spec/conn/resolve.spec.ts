/** From a name to addresses, without a network: the resolver is the spec's own. */

import { afterEach, describe, expect, test } from "vitest";
import { FamilyMemory, lookUpAll } from "../../lib/conn/resolve.ts";

const dns = process.getBuiltinModule("node:dns/promises");
const { lookup } = dns;
afterEach(() => {
  dns.lookup = lookup;
});

describe("lookUpAll()", () => {
  test("asks the system for all addresses, and gives each once, in their order", async () => {
    const asked: unknown[] = [];
    const found = [
      { address: "::1", family: 6 },
      { address: "10.0.0.1", family: 4 },
      { address: "::1", family: 6 },
      { address: "10.0.0.2", family: 4 },
    ];
    dns.lookup = (async (...about: unknown[]) => {
      asked.push(about);
      return found;
    }) as unknown as typeof lookup; // one of its overloads
    expect(await lookUpAll("name.test")).toEqual([found[0], found[1], found[3]]);
    expect(asked).toEqual([["name.test", { all: true }]]);
  });

  test("knows this machine", async () => {
    expect(await lookUpAll("localhost")).toContainEqual({ address: "127.0.0.1", family: 4 });
  });
});

describe("FamilyMemory", () => {
  test("remembers the last family of a host", () => {
    const memory = new FamilyMemory();
    expect(memory.get("a.test")).toBeUndefined();
    memory.set("a.test", 6);
    memory.set("b.test", 4);
    expect([memory.get("a.test"), memory.get("b.test")]).toEqual([6, 4]);
    memory.set("a.test", 4);
    expect(memory.get("a.test")).toBe(4);
  });

  test("remembers a thousand, those set last", () => {
    const memory = new FamilyMemory();
    for (let n = 0; n < 1000; n++) memory.set(`${n}.test`, 4);
    memory.set("0.test", 6);
    expect([0, 1, 999].map((n) => memory.get(`${n}.test`))).toEqual([6, 4, 4]);
    memory.set("one more.test", 6);
    expect([0, 1, 2].map((n) => memory.get(`${n}.test`))).toEqual([6, undefined, 4]);
  });
});
