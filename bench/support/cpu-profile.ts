/**
 * Reads V8's CPU profile of one window: which station a sample belongs to, and each station's share of the CPU. Pure.
 *
 * What JavaScript, WebAssembly and the collector have is taken from the samples. What the kernel and Node's C++ have is
 * the rest of the main thread's CPU, and no samples: V8 calls all of the loop's poll phase "(idle)", the reads that libuv
 * does in it as well as the sleep before them. So idle time counts for nothing, and the reads are where they belong.
 */
import { median } from "../statistics.ts";

/** What is read of a .cpuprofile. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** µs from each sample to the next. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  /** Samples that had this frame on top. */
  readonly hitCount?: number;
  readonly callFrame: Frame;
}

export interface Frame {
  /** "" of a function without a name; in parentheses what is no function at all. */
  readonly functionName: string;
  /** "" of what is not JavaScript. */
  readonly url: string;
}

/** Where files lie, as file: URLs of folders that end in a slash. */
export interface Places {
  /** Our client in its parts, laid out as lib/ is. */
  readonly parts: string;
  /** The compiled files of the bench. */
  readonly bench: string;
}

export const NATIVE = "kernel and Node's C++";
export const COLLECTOR = "garbage collector";
export const NODE = "Node's JavaScript";
export const TOP_LEVEL = "client, call, transport";
export const WIRE = "wire/, JavaScript";
export const LLHTTP = "wire/, WebAssembly (llhttp)";
export const WORKER = "the bench's own worker";

/** The route of a request, as the tables have it. Stations that are not listed come after these, the bench's worker last. */
const ORDER = [NATIVE, COLLECTOR, NODE, TOP_LEVEL, "message/", "pool/", "conn/", WIRE, LLHTTP, "fetch/"];

export function stationOf({ functionName, url }: Frame, { parts, bench }: Places): string {
  if (functionName === "(garbage collector)") return COLLECTOR;
  if (url === "") return NATIVE;
  if (url.startsWith("node:")) return NODE;
  if (url.startsWith("wasm:")) return LLHTTP;
  if (url.startsWith(parts)) {
    const [folder = "", ...below] = url.slice(parts.length).split("/");
    if (below.length === 0) return TOP_LEVEL;
    return folder === "wire" ? WIRE : `${folder}/`;
  }
  // Before the bench's own files: they lie beside the packages.
  const named = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (named !== undefined) return named;
  return url.startsWith(bench) ? WORKER : "other files";
}

export interface Spent {
  readonly what: string;
  /** Of the main thread's CPU, 0 to 1. */
  readonly share: number;
}

export interface Shares {
  readonly stations: readonly Spent[];
  /** By self time, the most first; with the file of each. */
  readonly functions: readonly Spent[];
}

/**
 * @param mainUs CPU of the main thread in the profiled window
 * @returns every station that has a sample, and the kernel; they make 1
 */
export function sharesOf(profile: CpuProfile, mainUs: number, places: Places): Shares {
  const periodUs = periodOf(profile);
  const stations = new Map<string, number>();
  const functions = new Map<string, number>();
  let told = 0;
  for (const { hitCount = 0, callFrame } of profile.nodes) {
    if (hitCount === 0) continue;
    const station = stationOf(callFrame, places);
    const us = hitCount * periodUs;
    if (!isNoFunction(callFrame)) add(functions, nameOf(callFrame, station, places), us);
    if (station === NATIVE) continue;
    add(stations, station, us);
    told += us;
  }
  // The samples of a short window can make more than it had.
  const all = Math.max(mainUs, told);
  stations.set(NATIVE, all - told);
  const spent = ([what, us]: [string, number]): Spent => ({ what, share: all === 0 ? 0 : us / all });
  return {
    stations: [...stations].map(spent).sort((a, b) => placeOf(a.what) - placeOf(b.what) || b.share - a.share),
    functions: [...functions].map(spent).sort((a, b) => b.share - a.share),
  };
}

/**
 * What one sample stands for. The median and not the mean: while another process has the core, samples are not taken, and
 * the mean would charge the wait for it to whoever was sampled.
 */
function periodOf({ timeDeltas }: CpuProfile): number {
  const real = timeDeltas.filter((us) => us > 0);
  return real.length === 0 ? 0 : median(real);
}

/** The stations of several profiles, each once, in the order of the tables. */
export function allStations(of: readonly Shares[]): string[] {
  const found = new Set(of.flatMap(({ stations }) => stations.map(({ what }) => what)));
  return [...found].sort((a, b) => placeOf(a) - placeOf(b));
}

function placeOf(station: string): number {
  if (station === WORKER) return ORDER.length + 1;
  const place = ORDER.indexOf(station);
  return place < 0 ? ORDER.length : place;
}

/** "(program)", "(idle)", "(root)" and "(garbage collector)": times of the process, which is in no function then. */
function isNoFunction({ functionName, url }: Frame): boolean {
  return url === "" && functionName.startsWith("(");
}

/** As the sources have it: functions of one name in one file are one. */
function nameOf({ functionName, url }: Frame, station: string, { parts, bench }: Places): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (station === NATIVE) return `${name}, C++`;
  if (station === LLHTTP) return `${name}, WebAssembly`;
  if (url.startsWith(parts)) return `${name}, ${url.slice(parts.length).replace(/\.js$/, ".ts")}`;
  if (station === WORKER) return `${name}, bench/${url.slice(bench.length).replace(/\.js$/, ".ts")}`;
  return `${name}, ${url.replace(/.*\/node_modules\//, "")}`;
}

function add(to: Map<string, number>, key: string, value: number): void {
  to.set(key, (to.get(key) ?? 0) + value);
}
