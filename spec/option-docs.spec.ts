/**
 * Every option is documented where a caller looks (TSDoc, lib/OPTIONS.md, README) with its true default, its unit and its
 * error; and who misspells one or gives the wrong thing is told so.
 */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { TLS_OPTIONS } from "../lib/conn/tls.ts";
import { Client, Request, type Response, Transport } from "../lib/index.ts";
import { VERSION } from "../lib/options.ts";
import { answering } from "./security/support.ts";
import {
  defaultIn,
  defaultOf,
  docsOf,
  docsOfTable,
  type OptionTable,
  optionsPage,
  TABLES,
} from "./support/option-docs.ts";
import { Site } from "./support/site.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** Limits and choices that end in no error of their own. */
const WITHOUT_ERROR = new Set([
  ...[
    "expectContinueTimeout",
    "idleConnTimeout",
    "tcpKeepAlive",
    "maxConnsPerHost",
    "maxIdleConnsPerHost",
    "maxIdleConns",
    "readIdleTimeout",
    "hop",
  ],
]);

describe.each(TABLES.map((table) => [table.title, table] as const))("%s", (_, table) => {
  const docs = docsOfTable(table);

  test("is documented by exactly the names that there are", () => {
    expect([...docs.keys()].sort()).toEqual([...table.names].sort());
  });

  test.each(table.names)("%s: TSDoc with default, unit and error", (name) => {
    const text = docs.get(name)?.text ?? "";
    const said = defaultIn(text);
    expect(said, `no default in: ${text}`).not.toBeUndefined();
    const kind = table.kinds[name];
    if (kind === "duration") expect(text).toMatch(/\d (ms|s|min)\b|in ms|Default 0: none/);
    if ((kind === "duration" || kind === "count") && !WITHOUT_ERROR.has(name))
      expect(text).toMatch(/\b[A-Z]\w+Error\b/);
    const real = table.defaults?.[name];
    if (table.defaults === null) return;
    expect(said === "persistconn/VERSION" ? `persistconn/${VERSION}` : said).toBe(real ?? null);
  });
});

test("every member of CallTimeLimits is an option of a Transport with the same default", () => {
  const [transport] = TABLES;
  for (const name of docsOf("time-limits.ts", "CallTimeLimits").keys()) expect(transport?.names).toContain(name);
});

test("lib/OPTIONS.md is what the sources say; make it anew with -u", async () => {
  await expect(optionsPage()).toMatchFileSnapshot("../lib/OPTIONS.md");
});

/** Sections on other entry points of the package, whose options are their own. */
const OTHER_ENTRIES = /^## (?:Caching|HTTP\/2)\n.*?(?=^## )/gms;

describe("README's tables", () => {
  const rows = [...readme.replace(OTHER_ENTRIES, "").matchAll(/^\| (`[^|]*`) \| ([^|]*) \| [^|]*\|$/gm)];
  const documented = rows.flatMap(([, names = "", defaults = ""]) => {
    const list = [...names.matchAll(/`(\w+)[^`]*`/g)].map(([, name]) => name as string);
    const values = list.length === 1 ? [defaults] : defaults.split(/, (?!\d{3}\b)/);
    return list.map((name, i) => [name, values[i] ?? ""] as const);
  });
  const known = new Set(TABLES.flatMap(({ names }) => names));

  test("are there", () => expect(documented.length).toBeGreaterThan(25));

  test.each(documented)("%s: %s", (name, words) => {
    expect(known).toContain(name);
    const table = TABLES.find(({ names, defaults }) => names.includes(name) && defaults !== null) as OptionTable;
    const real = table.defaults?.[name];
    const said = defaultOf(words.replaceAll("`", ""));
    expect(said).toBe(real ?? undefined);
  });

  test("and its text name every option of a Transport and of a Client", () => {
    for (const { names } of TABLES.slice(0, 2)) for (const name of names) expect(readme).toContain(`\`${name}`);
  });
});

type Options = Record<string, unknown>;
type Objects = readonly (readonly [title: string, names: readonly string[], give: (options: Options) => unknown])[];

const client = new Client({ transport: new Site(answering) });
const request = new Request("http://a.test/");
const transport = new Transport();

/** Every place where options are given. */
const OBJECTS: Objects = [
  ["new Transport()", TABLES[0]?.names ?? [], (options) => new Transport(options)],
  ["new Client()", TABLES[1]?.names ?? [], (options) => new Client(options)],
  ["client.do()", TABLES[2]?.names ?? [], (options) => client.do(request, options)],
  ["client.get()", TABLES[2]?.names ?? [], (options) => client.get(request.url, options)],
  ["client.get(), parts", partsOfRequest(), (options) => client.get(request.url, options)],
  ["transport.roundTrip()", TABLES[3]?.names ?? [], (options) => transport.roundTrip(request, options)],
  ["new Request()", TABLES[4]?.names ?? [], (options) => new Request(request.url, options)],
  ["request.with()", [...(TABLES[4]?.names ?? []), "url"], (options) => request.with(options)],
];

function partsOfRequest(): readonly string[] {
  return (TABLES[4]?.names ?? []).filter((name) => name !== "method" && name !== "signal");
}

/** Options within an option. */
const INNER: Objects = [
  ["tls.", TLS_OPTIONS, (tls) => new Transport({ tls })],
  ["trace.", ["groups", "on"], (own) => new Transport({ trace: { groups: [], on() {}, ...own } as never })],
  [
    "trailers.",
    ["names", "values"],
    (own) => new Request(request.url, { body: "x", trailers: { names: ["a"], values: {}, ...own } as never }),
  ],
];

/** What is thrown or rejected. */
async function refusal(give: () => unknown): Promise<TypeError> {
  try {
    await (give() as Promise<Response> | object);
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return error as TypeError;
  }
  throw new Error("It was not refused");
}

describe.each(OBJECTS)("%s", (_, names, give) => {
  test.each(names)("proposes %s for a misspelt one", async (name) => {
    for (const wrong of [`${name}${name.at(-1)}`, name.toUpperCase() === name ? `${name}x` : name.toUpperCase()]) {
      const { message } = await refusal(() => give({ [wrong]: 1 }));
      expect(message).toBe(`Unknown option ${JSON.stringify(wrong)}: did you mean ${name}?`);
    }
  });

  test.each(names)("says of a wrong %s what it is, what it must be and what came", async (name) => {
    const { message } = await refusal(() => give({ [name]: Symbol("s3cret") }));
    expect(message).toMatch(new RegExp(`(^|option )${name}\\b.* must be .+: .*symbol`, "i"));
    expect(message).not.toContain("s3cret");
  });
});

describe.each(INNER)("%s", (within, names, give) => {
  test.each(names)("proposes %s for a misspelt one", async (name) => {
    const wrong = `${name}${name.at(-1)}`;
    const { message } = await refusal(() => give({ [wrong]: 1 }));
    expect(message).toBe(`Unknown option ${JSON.stringify(`${within}${wrong}`)}: did you mean ${within}${name}?`);
  });
});
