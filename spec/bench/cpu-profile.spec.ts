import { describe, expect, test } from "vitest";
import { allStations, type CpuProfile, type Places, sharesOf, stationOf } from "../../bench/support/cpu-profile.ts";

const places: Places = { parts: "file:///tmp/x/parts/", bench: "file:///p/bench/dist/" };
const frame = (functionName: string, url: string) => ({ functionName, url });

/** A sample each 100 µs, as many in each frame as it says. */
function profile(...frames: (readonly [functionName: string, url: string, hits: number])[]): CpuProfile {
  const nodes = frames.map(([functionName, url, hitCount]) => ({ hitCount, callFrame: frame(functionName, url) }));
  const samples = frames.reduce((sum, [, , hits]) => sum + hits, 0);
  return { nodes, timeDeltas: Array.from({ length: samples }, () => 100) };
}

const rounded = (of: readonly { what: string; share: number }[]) =>
  of.map(({ what, share }) => `${what}: ${share.toFixed(2)}`);

describe("stationOf()", () => {
  test.each([
    ["(program)", "", "kernel and Node's C++"],
    ["(idle)", "", "kernel and Node's C++"],
    ["writeLatin1String", "", "kernel and Node's C++"],
    ["(garbage collector)", "", "garbage collector"],
    ["onStreamRead", "node:internal/stream_base_commons", "Node's JavaScript"],
    ["do", "file:///tmp/x/parts/client.js", "client, call, transport"],
    ["", "file:///tmp/x/parts/message/headers.js", "message/"],
    ["take", "file:///tmp/x/parts/pool/idle-list.js", "pool/"],
    ["#round", "file:///tmp/x/parts/conn/read-loop.js", "conn/"],
    ["execute", "file:///tmp/x/parts/wire/llhttp/binding.js", "wire/, JavaScript"],
    ["wasm-function[12]", "wasm://wasm/0009b0f2", "wire/, WebAssembly (llhttp)"],
    ["fetch", "file:///tmp/x/parts/fetch/fetch.js", "fetch/"],
    ["match", "file:///tmp/x/parts/proxy/environment.js", "proxy/"],
    ["run", "file:///p/bench/dist/contestants/contestant.js", "the bench's own worker"],
    ["dispatch", "file:///p/bench/node_modules/undici/lib/dispatcher/pool.js", "undici"],
    ["get", "file:///p/bench/node_modules/@a/b/index.js", "@a/b"],
    ["x", "file:///elsewhere/x.js", "other files"],
  ])("%s of %j is %s", (name, url, station) => expect(stationOf(frame(name, url), places)).toBe(station));
});

describe("sharesOf()", () => {
  const conn = ["a", "file:///tmp/x/parts/conn/exchange.js", 30] as const;

  test("the kernel has what the samples leave of the main thread's CPU", () => {
    const { stations } = sharesOf(profile(conn, ["(program)", "", 5], ["writev", "", 20]), 10_000, places);
    expect(rounded(stations)).toEqual(["kernel and Node's C++: 0.70", "conn/: 0.30"]);
  });

  test("idle time counts for nothing: a window that mostly slept has the same shares", () => {
    const { stations } = sharesOf(profile(conn, ["(idle)", "", 5_000]), 10_000, places);
    expect(rounded(stations)).toEqual(["kernel and Node's C++: 0.70", "conn/: 0.30"]);
  });

  test("a gap in which another process had the core is charged to nobody", () => {
    const even = profile(conn);
    const { stations } = sharesOf({ ...even, timeDeltas: [...even.timeDeltas, 40_000] }, 10_000, places);
    expect(rounded(stations)).toEqual(["kernel and Node's C++: 0.70", "conn/: 0.30"]);
  });

  test("more samples than the window had CPU make the whole, and no share below 0", () => {
    const { stations } = sharesOf(profile(conn, ["b", "node:net", 10]), 1_000, places);
    expect(rounded(stations)).toEqual(["kernel and Node's C++: 0.00", "Node's JavaScript: 0.25", "conn/: 0.75"]);
  });

  test("a window too short for a sample is the kernel's", () => {
    expect(rounded(sharesOf({ nodes: [], timeDeltas: [] }, 50, places).stations)).toEqual([
      "kernel and Node's C++: 1.00",
    ]);
  });

  test("functions come by self time, with their sources; native ones too, but not what is no function", () => {
    const { functions } = sharesOf(
      profile(
        ["(program)", "", 50],
        ["", "file:///p/bench/dist/contestants/contestant.js", 1],
        conn,
        ["writev", "", 35],
        ["a", "file:///tmp/x/parts/conn/exchange.js", 10],
        ["dispatch", "file:///p/bench/node_modules/undici/lib/pool.js", 2],
        ["wasm-function[1]", "wasm://wasm/1", 3],
      ),
      10_000,
      places,
    );
    expect(rounded(functions)).toEqual([
      "a, conn/exchange.ts: 0.40",
      "writev, C++: 0.35",
      "wasm-function[1], WebAssembly: 0.03",
      "dispatch, undici/lib/pool.js: 0.02",
      "(anonymous), bench/contestants/contestant.ts: 0.01",
    ]);
  });
});

test("allStations() has each station once, in the order of the route, and the bench's worker last", () => {
  const worker = ["w", "file:///p/bench/dist/worker.js", 9] as const;
  const ours = sharesOf(profile(worker, ["a", "file:///tmp/x/parts/wire/abnf.js", 1]), 2_000, places);
  const theirs = sharesOf(profile(worker, ["b", "file:///p/bench/node_modules/undici/x.js", 1]), 2_000, places);
  expect(allStations([theirs, ours])).toEqual([
    "kernel and Node's C++",
    "wire/, JavaScript",
    "undici",
    "the bench's own worker",
  ]);
});
