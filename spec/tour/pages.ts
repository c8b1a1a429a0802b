/**
 * The parts of the guides that are made, not written: the state diagrams, from the tables that the program runs on, and
 * what the scripts of the tour print. Each stands in its page between `<!-- made: NAME -->` and `<!-- end -->`.
 *
 * `make tour` writes them anew; a spec says whether they are current.
 */

import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { argv, execPath } from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fate, READ_MOVES, WRITE_MOVES } from "../../lib/conn/conn-state.ts";
import { SLOT_MOVES } from "../../lib/pool/slot.ts";

const here = new URL("./", import.meta.url);

/** The scripts of the tour, by name. */
export const SCRIPTS: readonly string[] = readdirSync(here)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".spec.ts") && !["stage.ts", "pages.ts"].includes(name))
  .map((name) => name.slice(0, -".ts".length))
  .sort();

/** Pages with made parts, and how each part is made. */
export const PAGES: Readonly<Record<string, Readonly<Record<string, () => string | Promise<string>>>>> = {
  "lib/conn/README.md": {
    "read half": () => diagram("idle", movesByEvent(READ_MOVES)),
    "write half": () => diagram("idle", movesByEvent(WRITE_MOVES)),
    fate: fateTable,
  },
  "lib/pool/README.md": {
    slot: () => diagram("dialing", movesByState(SLOT_MOVES)),
  },
  "spec/tour/README.md": Object.fromEntries(SCRIPTS.map((name) => [name, () => printed(name)])),
};

export function readPage(page: string): string {
  return readFileSync(fileOf(page), "utf8");
}

/** @throws {Error} the page has no such part, or one that nobody makes */
export async function madeAnew(page: string): Promise<string> {
  const parts = PAGES[page] ?? {};
  let text = readPage(page);
  const places = [...text.matchAll(/<!-- made: (.*) -->/g)].map(([, name]) => name as string); // the group is in the match
  const missing = Object.keys(parts).filter((name) => !places.includes(name));
  if (missing.length > 0) throw new Error(`${page} has no place for ${missing.join(", ")}`);
  for (const name of places) {
    const make = parts[name];
    if (make === undefined) throw new Error(`${page} has a place for ${name}, which nobody makes`);
    const start = `<!-- made: ${name} -->\n`;
    const from = text.indexOf(start) + start.length;
    text = text.slice(0, from) + (await make()) + text.slice(text.indexOf("<!-- end -->", from));
  }
  return text;
}

type Move = readonly [from: string, to: string, event: string];

function movesByEvent(table: Readonly<Record<string, Readonly<Partial<Record<string, string>>>>>): Move[] {
  return Object.entries(table).flatMap(([from, moves]) =>
    Object.entries(moves).flatMap(([event, to]): Move[] =>
      to === undefined || to === from ? [] : [[from, to, event]],
    ),
  );
}

function movesByState(table: Readonly<Record<string, readonly string[]>>): Move[] {
  return Object.entries(table).flatMap(([from, targets]) => targets.map((to): Move => [from, to, ""]));
}

function diagram(first: string, moves: readonly Move[]): string {
  const lines = moves.map(([from, to, event]) => `  ${from} --> ${to}${event === "" ? "" : `: ${event}`}`);
  return ["```mermaid", "stateDiagram-v2", `  [*] --> ${first}`, ...lines, "  closed --> [*]", "```", ""].join("\n");
}

function fateTable(): string {
  const states = Object.keys(WRITE_MOVES) as (keyof typeof WRITE_MOVES)[];
  const row = (state: keyof typeof WRITE_MOVES) =>
    `| ${state} | ${fate(state, true, false)} | ${fate(state, true, true)} | ${fate(state, false, false)} |`;
  const head = "| write half | reuse allowed | others behind it | reuse forbidden |";
  return [head, "| --- | --- | --- | --- |", ...states.map(row), ""].join("\n");
}

/** What a script prints, run by itself as a reader would run it. */
async function printed(name: string): Promise<string> {
  const script = fileURLToPath(new URL(`${name}.ts`, here));
  const { stdout } = await promisify(execFile)(execPath, ["--import", "tsx", script]);
  return ["```text", stdout.trimEnd(), "```", ""].join("\n");
}

function fileOf(page: string): URL {
  return new URL(`../../${page}`, here);
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const page of Object.keys(PAGES)) writeFileSync(fileOf(page), await madeAnew(page));
}
