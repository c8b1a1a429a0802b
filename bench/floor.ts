/**
 * What a limit leaves above the floor, which is the bare socket of the same run: whether it can be met on node:net at all,
 * and what would be needed. Pure.
 */
import type { Judged } from "./judge.ts";
import { type ColdRow, type Measured, micros } from "./report.ts";
import { COLD } from "./scenarios.ts";

export const FLOOR = "bare-socket";

/** All three in one unit, of which less is better. */
export interface Costs {
  readonly limit: number;
  readonly floor: number;
  readonly ours: number;
}

export interface Standing {
  /** What the limit leaves above the floor; not above 0 where no client on node:net can meet it. */
  readonly left: number;
  /** What ours uses above the floor. */
  readonly used: number;
  readonly reach: "below the floor" | "holds" | "misses";
}

export function standing({ limit, floor, ours }: Costs): Standing {
  const [left, used] = [limit - floor, ours - floor];
  // First: who meets a limit has shown that it can be met, whatever the floor came out as.
  if (ours <= limit) return { left, used, reach: "holds" };
  return { left, used, reach: left <= 0 ? "below the floor" : "misses" };
}

/** @param show writes a figure with its unit */
export function inWords({ left, used, reach }: Standing, show: (value: number) => string): string {
  if (reach === "below the floor") return "below the bare socket: nothing on node:net can meet it";
  if (reach === "holds") return `holds, with ${show(left - used)} to spare`;
  return `leaves ${show(left)} above the bare socket, where ours uses ${show(used)}: ${show(used - left)} would have to go`;
}

/** One line for each limit that is missed: where it stands beside the floor in the same run. */
export function besideFloor(
  judged: readonly Judged[],
  measured: readonly Measured[],
  cold: readonly ColdRow[] | null,
): string[] {
  return judged
    .filter(({ verdict }) => verdict === "misses")
    .map((one) => {
      const { row, what, base } = one;
      const rows = measured.find(({ scenario }) => scenario.name === one.scenario)?.rows;
      const said = one.what === "cold CPU" ? ofCold(one, cold) : ofRound(one, rows);
      return `${row}, ${what} of ${base}: ${said}`;
    });
}

function ofRound({ what, base, limit, ratio }: Judged, rows: Measured["rows"] | undefined): string {
  const rowOf = (name: string) => rows?.find((row) => row.name === name);
  const [floor, other] = [rowOf(FLOOR), rowOf(base)?.figures];
  if (floor?.figures === undefined || other === undefined) return NO_FLOOR;
  const ratios = base === FLOOR ? null : floor.ratios?.[base];
  if (what === "requests/s") {
    // Here more is better, so the floor is a ceiling.
    if (floor.figures.perSecondVoid) return "the bare socket's own rate was the responder's";
    const ceiling = ratios?.perSecond.median ?? 1;
    const reach = limit >= ceiling ? "above the ceiling" : `ours is ${ratio!.median.toFixed(2)}`;
    return `${reach}: the bare socket itself is ${ceiling.toFixed(2)}`;
  }
  const [least, unit] =
    what === "p99" ? [ratios?.p99.median ?? 1, other.p99Us] : [ratios?.cpu.median ?? 1, other.cpuUs.median];
  return ofRatios(limit, least, ratio!.median, (value) => `${micros(value * unit)} µs`);
}

function ofCold({ base, limit, ratio }: Judged, cold: readonly ColdRow[] | null): string {
  const least = cold?.find(({ name }) => name === FLOOR)?.cpuRatios?.[base];
  const unit = cold?.find(({ name }) => name === base)?.cpuUs;
  if (least === undefined || unit === undefined) return NO_FLOOR;
  return ofRatios(limit, least.median, ratio!.median, (value) => `${((value * unit.median) / 1000).toFixed(1)} ms`);
}

const NO_FLOOR = "the bare socket did not run beside it";

function ofRatios(limit: number, floor: number, ours: number, show: (value: number) => string): string {
  const stands = standing({ limit, floor, ours });
  if (stands.reach === "below the floor") return `below the floor: the bare socket itself is ${floor.toFixed(2)}`;
  return inWords(stands, show);
}

/** The commands that show where the time of what is missed goes; none where nothing is. */
export function profileCommands(judged: readonly Judged[]): string[] {
  const missed = judged.filter(({ verdict, scenario }) => verdict === "misses" && scenario !== COLD);
  return (["persistconn", "persistconn-fetch"] as const).flatMap((ours) => {
    const names = new Set(missed.filter((one) => one.ours === ours).map(({ scenario }) => scenario));
    if (names.size === 0) return [];
    const call = ours === "persistconn-fetch" ? "--fetch " : "";
    return [`make bench-profile ARGS="${call}--scenario ${[...names].join(",")}"`];
  });
}
