/**
 * The plots, as SVG: Vega-Lite says what is drawn, Vega draws it without a browser. `specs` are pure; only `render` needs
 * the two, which are installed in bench/ only.
 *
 * By itself it draws a run again: `node --import tsx plots.ts results/x.json`.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Measured } from "./report.ts";
import type { Spread } from "./statistics.ts";

/** A Vega-Lite specification. */
export type Spec = Readonly<Record<string, unknown>>;

interface Point {
  readonly contestant: string;
  readonly scenario: string;
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

/** What the plots use of Vega and Vega-Lite. */
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: object) => { toSVG(): Promise<string>; finalize(): void };
}
interface VegaLite {
  compile(spec: Spec): { spec: unknown };
}

const WIDTH = 640;

/** CPU as a multiple of the bare socket's: a dot for the median, a line from the least round to the most. */
export function ratioSpec(measured: readonly Measured[]): Spec {
  const points = measured.flatMap(({ scenario, rows }) =>
    rows.flatMap(({ name, ratios }) => {
      const cpu = ratios?.["bare-socket"]?.cpu;
      return cpu === undefined ? [] : [point(name, scenario.name, 0, cpu)];
    }),
  );
  const y = { field: "scenario", type: "nominal", sort: null, title: null };
  const color = colorOf(points);
  return {
    ...frame("CPU per request, as a multiple of the bare socket's", points),
    height: { step: 22 },
    encoding: { y, color },
    layer: [
      {
        mark: { type: "rule", strokeDash: [3, 3], color: "#888" },
        encoding: { x: { datum: 1 }, y: null, color: null },
      },
      {
        mark: { type: "rule", opacity: 0.5 },
        encoding: { x: scaled("low", "× bare socket (log)", "log"), x2: { field: "high" } },
      },
      { mark: { type: "point", filled: true, size: 55 }, encoding: { x: scaled("y", "× bare socket (log)", "log") } },
    ],
  };
}

/** CPU a request against whatever grows. */
export function costSpec(
  title: string,
  axis: string,
  points: readonly Point[],
  /** "symlog" where x may be 0. */
  xScale: "log" | "symlog" = "log",
): Spec {
  return {
    ...frame(title, points),
    height: 360,
    encoding: { x: scaled("x", axis, xScale), color: colorOf(points) },
    layer: [
      {
        mark: { type: "rule", opacity: 0.4 },
        encoding: { y: scaled("low", "CPU µs per request (log)", "log"), y2: { field: "high" } },
      },
      { mark: { type: "line", point: true }, encoding: { y: scaled("y", "CPU µs per request (log)", "log") } },
    ],
  };
}

export function concurrencyPoints(measured: readonly Measured[]): Point[] {
  return costPoints(measured, "connections", ({ workers }) => workers);
}

export function sizePoints(measured: readonly Measured[]): Point[] {
  return costPoints(measured, "sizes", ({ responseBytes }) => responseBytes);
}

function costPoints(
  measured: readonly Measured[],
  group: "connections" | "sizes",
  x: (scenario: Measured["scenario"]) => number,
): Point[] {
  return measured
    .filter(({ scenario }) => scenario.groups.includes(group))
    .flatMap(({ scenario, rows }) =>
      rows.flatMap(({ name, figures }) =>
        figures === undefined ? [] : [point(name, scenario.name, x(scenario), figures.cpuUs)],
      ),
    );
}

export function point(contestant: string, scenario: string, x: number, { median, min, max }: Spread): Point {
  return { contestant, scenario, x, y: median, low: min, high: max };
}

function frame(title: string, points: readonly Point[]): Spec {
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title,
    background: "white",
    width: WIDTH,
    data: { values: points },
  };
}

function scaled(field: string, title: string, type: "log" | "symlog"): Spec {
  return { field, type: "quantitative", title, scale: type === "log" ? { type } : { type, zero: false } };
}

/** Ours first, in one colour in every plot. */
function colorOf(points: readonly Point[]): Spec {
  const names = [...new Set(points.map(({ contestant }) => contestant))];
  const order = [...names.filter((name) => name.startsWith("persistconn")), ...names].filter(
    (name, i, all) => all.indexOf(name) === i,
  );
  return { field: "contestant", type: "nominal", title: null, scale: { domain: order, scheme: "tableau20" } };
}

/** A loader that fetches nothing: a specification holds its data. */
export async function render(spec: Spec): Promise<string> {
  // By names that the compiler does not follow: they are installed in bench/ only.
  const [vegaName, liteName] = ["vega", "vega-lite"];
  const vega = (await import(vegaName!)) as Vega;
  const lite = (await import(liteName!)) as VegaLite;
  const view = new vega.View(vega.parse(lite.compile(spec).spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  return `${svg}\n`;
}

/** @returns the files that were written */
export async function draw(specs: Readonly<Record<string, Spec>>, folder: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const files: string[] = [];
  for (const [name, spec] of Object.entries(specs)) {
    const file = join(folder, `${name}.svg`);
    writeFileSync(file, await render(spec));
    files.push(file);
  }
  return files;
}

/** What a run can be drawn as: a plot of fewer than two places on its axis says nothing, and is left out. */
export async function drawRun(measured: readonly Measured[], folder: string, base: string): Promise<string[]> {
  const specs: Record<string, Spec> = {};
  const ratios = ratioSpec(measured);
  if ((ratios["data"] as { values: Point[] }).values.length > 0) specs[`${base}-ratios`] = ratios;
  const places = (points: readonly Point[]) => new Set(points.map(({ x }) => x)).size;
  const concurrency = concurrencyPoints(measured);
  if (places(concurrency) > 1) {
    specs[`${base}-concurrency`] = costSpec("GET 2 KiB, CPU per request", "workers (log)", concurrency);
  }
  const sizes = sizePoints(measured);
  if (places(sizes) > 1) {
    specs[`${base}-sizes`] = costSpec("GET, sequential, CPU per request", "body bytes (log)", sizes, "symlog");
  }
  return draw(specs, folder);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [file] = process.argv.slice(2);
  if (file === undefined) throw new Error("plots: name the JSON of a run");
  const { scenarios } = JSON.parse(readFileSync(file, "utf8")) as { scenarios: Measured[] }; // run.ts wrote it
  for (const drawn of await drawRun(scenarios, dirname(file), basename(file, ".json"))) console.log(drawn);
}
