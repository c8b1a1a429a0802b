import { expect, test } from "vitest";
import { Link, LinkedList } from "../../lib/pool/linked-list.ts";

function fixture(...items: string[]) {
  const list = new LinkedList<string>();
  const links = items.map((item) => new Link(item));
  for (const link of links) list.push(link);
  const backwards = (): string[] => {
    const found: string[] = [];
    for (let at = list.last; at !== null; at = at.prev) found.push(at.item);
    return found;
  };
  return { list, links, backwards };
}

test.each([
  [[0], "b,c"],
  [[1], "a,c"],
  [[2], "a,b"],
  [[0, 1, 2], ""],
  [[2, 1, 0], ""],
  [[1, 0, 2], ""],
])("LinkedList.remove() of %j of three leaves %j, both ways", (removed, left) => {
  const { list, links, backwards } = fixture("a", "b", "c");
  for (const at of removed) list.remove(links[at]!);
  expect([...list].join()).toBe(left);
  expect(backwards().reverse().join()).toBe(left);
  expect(list.size).toBe(3 - removed.length);
});

test("LinkedList.push() adds at the end and unshift() at the front", () => {
  const { list, backwards } = fixture();
  for (const item of ["b", "a"]) list.unshift(new Link(item));
  list.push(new Link("c"));
  expect([...list]).toEqual(["a", "b", "c"]);
  expect(backwards()).toEqual(["c", "b", "a"]);
});

test("Link is in one list at most", () => {
  const { list, links } = fixture("a");
  const other = new LinkedList<string>();
  expect(() => other.push(links[0]!)).toThrow("in one already");
  expect(() => other.remove(links[0]!)).toThrow("not in it");
  list.remove(links[0]!);
  expect(() => list.remove(links[0]!)).toThrow("not in it");
  other.push(links[0]!);
  expect([...other]).toEqual(["a"]);
});
