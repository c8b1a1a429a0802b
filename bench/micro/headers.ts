/**
 * Header fields of a response, from pairs as received to the value of one: made and asked once, which is what most calls
 * do, and asked again.
 */
import type { PairLines as LinesOf, headersOver as overOf } from "../../lib/message/headers.ts";
import { compare, ours } from "./compare.ts";

const { headersOver, PairLines } = await ours<{ headersOver: typeof overOf; PairLines: typeof LinesOf }>(
  "message/headers.js",
);

for (const count of [8, 35]) {
  const pairs = Array.from({ length: count }, (_, i): [string, string] => [`X-Field-${i}`, `value ${i}`]);
  pairs[count >> 1] = ["Content-Type", "application/json; charset=utf-8"];
  const mapOf = () => {
    const map = new Map<string, string>();
    for (const [name, value] of pairs) map.set(name.toLowerCase(), value);
    return map;
  };
  const [mine, global, map] = [headersOver(new PairLines(pairs)), new Headers(pairs), mapOf()];
  await compare(`headers: ${count} fields, made and asked for one`, {
    persistconn: () => headersOver(new PairLines(pairs)).get("content-type"),
    "global Headers": () => new Headers(pairs).get("content-type"),
    Map: () => mapOf().get("content-type"),
  });
  // Now this field, now that one: the same question each time could be answered before the clock starts.
  const asked = ["content-type", "x-field-1", "x-missing", "x-field-6"];
  let at = 0;
  const next = () => asked[at++ & 3]!;
  await compare(`headers: ${count} fields, asked again`, {
    persistconn: () => mine.get(next()),
    "global Headers": () => global.get(next()),
    Map: () => map.get(next()),
  });
}
