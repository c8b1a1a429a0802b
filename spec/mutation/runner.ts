/**
 * A runner for Stryker that runs an area's specs in its own process, again and again: files are loaded once, and a mutant
 * is a number that the loaded code compares with. Stryker's own runner for vitest starts a worker for each mutant and loads
 * all files anew, which takes up to a hundred times as long as the first test that notices.
 *
 * What is loaded once can be spoiled by a mutant (a cache, a pool of parsers, an open socket). So a test that fails is run
 * again without the mutant: where it fails then, too, it has said nothing, and the process is replaced before the mutant is
 * tried again. A mutant that is met while files are loaded always gets a new process.
 */

import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { INSTRUMENTER_CONSTANTS, type MutantCoverage } from "@stryker-mutator/api/core";
import { declareClassPlugin, PluginKind } from "@stryker-mutator/api/plugin";
import type {
  DryRunResult,
  DryRunStatus,
  MutantRunOptions,
  MutantRunResult,
  MutantRunStatus,
  TestResult,
  TestRunner,
  TestRunnerCapabilities,
  TestStatus,
} from "@stryker-mutator/api/test-runner";
import { collectTests, type File, getFn, getHooks, type Suite, type Test, type VitestRunner } from "@vitest/runner";
import { AREAS, LATE, TOO_SLOW } from "./areas.ts";

/** How often the code of a mutant may be passed, as a multiple of what a run without it needs; beyond, it is a loop without an end. */
const HITS_MAX = 5;
/** Milliseconds that the loop may stand idle during a test, in all: what waits longer waits for ever. The clock tells nothing on a busy machine. */
const IDLE_MS_MAX = 1_500;
/** Milliseconds of a processor that a test may take. */
const CPU_MS_MAX = 20_000;
const LOOK_MS = 50;
/** Milliseconds by the clock that a test may run without giving way. */
const LOOP_MS_MAX = 3_000;

/** Milliseconds of a processor after which a mutant counts as one that survives, whatever tests are left; 0: all are run. */
const BUDGET_MS = Number(process.env["BUDGET"]) || 0;

const SPOILED = "This process was spoiled by a mutant";

/** What the instrumented code looks at: Stryker's name for it, in every process. */
interface Namespace {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: MutantCoverage;
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
}

interface Case {
  readonly id: string;
  readonly test: Test;
  /** From the outermost in. */
  readonly suites: readonly Suite[];
}

class InProcessRunner implements TestRunner {
  readonly #area = AREAS[process.env["MUTATION_AREA"] ?? ""]!;
  readonly #ns: Namespace;
  #files: { readonly name: string; readonly cases: Case[] }[] = [];
  /** All of them, the long ones last. */
  #ordered: Case[] = [];
  #strayError: unknown = null;
  /** Mutants that this process has met. */
  #mutants = 0;
  #spoiled = false;

  constructor() {
    const namespace = INSTRUMENTER_CONSTANTS.NAMESPACE;
    const global = globalThis as unknown as Record<string, Namespace>; // the instrumented code's own way to it
    global[namespace] ??= {};
    this.#ns = global[namespace];
    const stray = (error: unknown) => {
      this.#strayError ??= error;
    };
    process.on("unhandledRejection", stray);
    process.on("uncaughtException", stray);
  }

  capabilities(): TestRunnerCapabilities {
    return { reloadEnvironment: false };
  }

  /** Loads at once where no mutant wants to be met by that: the time of a mutant's run is then its tests' alone. */
  async init(): Promise<void> {
    if (process.env["STATIC"] === "0") await this.#load();
  }

  async dryRun(): Promise<DryRunResult> {
    await this.#load();
    const tests: TestResult[] = [];
    for (const { name, cases } of this.#files) {
      for (const each of cases) {
        const started = performance.now();
        const error = await this.#run(each, each.id);
        const timeSpentMs = Math.ceil(performance.now() - started);
        const result = { id: each.id, name: each.id, timeSpentMs, fileName: name };
        if (error === null) tests.push({ ...result, status: 0 as TestStatus.Success });
        else tests.push({ ...result, status: 1 as TestStatus.Failed, failureMessage: String(error) });
      }
    }
    return {
      status: "complete" as DryRunStatus.Complete,
      tests,
      mutantCoverage: this.#ns.mutantCoverage ?? { static: {}, perTest: {} },
    };
  }

  async mutantRun(options: MutantRunOptions): Promise<MutantRunResult> {
    if (this.#spoiled) throw new Error(SPOILED);
    const { activeMutant, mutantActivation, testFilter, hitLimit } = options;
    this.#mutants++;
    this.#ns.hitLimit = undefined;
    if (mutantActivation === "static") this.#ns.activeMutant = activeMutant.id;
    await this.#load();
    // Stryker's limit is a hundred times what all tests together needed.
    this.#ns.hitLimit = hitLimit === undefined ? undefined : Math.ceil((hitLimit / 100) * HITS_MAX) + 1_000;
    this.#ns.hitCount = 0;
    this.#ns.activeMutant = activeMutant.id;
    const wanted = testFilter && new Set(testFilter);
    const cpu = process.cpuUsage();
    let nrOfTests = 0;
    try {
      for (const each of this.#ordered) {
        if (wanted && !wanted.has(each.id)) continue;
        const { user, system } = process.cpuUsage(cpu);
        if (BUDGET_MS > 0 && user + system > BUDGET_MS * 1000) break;
        nrOfTests++;
        const error = await this.#run(each, undefined);
        if (this.#ns.hitLimit !== undefined && this.#ns.hitCount > this.#ns.hitLimit) {
          return { status: "timeout" as MutantRunStatus.Timeout, reason: "the mutant was passed too often" };
        }
        if (error === null) continue;
        if (isEndless(error)) {
          if (await this.#isSlow(each)) continue;
          return { status: "timeout" as MutantRunStatus.Timeout, reason: "a loop without an end" };
        }
        if (mutantActivation !== "static") await this.#mustPass(each);
        return {
          status: "killed" as MutantRunStatus.Killed,
          killedBy: [each.id],
          failureMessage: `${error}`,
          nrOfTests,
        };
      }
    } finally {
      this.#ns.activeMutant = undefined;
    }
    return { status: "survived" as MutantRunStatus.Survived, nrOfTests };
  }

  /** Whether a test is ended for its time without a mutant, too: then the machine is busy, and nothing was said. */
  async #isSlow(each: Case): Promise<boolean> {
    const { activeMutant, hitLimit } = this.#ns;
    this.#ns.activeMutant = undefined;
    this.#ns.hitLimit = undefined;
    const error = await this.#run(each, undefined);
    if (error !== null && !isEndless(error)) this.#spoiled = true;
    this.#ns.activeMutant = activeMutant;
    this.#ns.hitLimit = hitLimit;
    return isEndless(error);
  }

  /**
   * Throws where a test that failed fails without its mutant, too, after others: then it may be one of those that is to
   * blame. Stryker starts another process and tries again. Where there were no others it was the mutant itself.
   */
  async #mustPass(each: Case): Promise<void> {
    this.#ns.activeMutant = undefined;
    this.#ns.hitLimit = undefined;
    if ((await this.#run(each, undefined)) === null) return;
    this.#spoiled = true;
    if (this.#mutants > 1) throw new Error(SPOILED);
  }

  /** Imports the specs and takes down what they declare; once. */
  async #load(): Promise<void> {
    if (this.#files.length > 0) return;
    process.env["RUNS"] = String(this.#area.runs);
    process.env["SEED"] = "1";
    const root = process.cwd();
    const collector = {
      config: {
        root,
        name: "",
        setupFiles: [],
        sequence: { shuffle: false, concurrent: false, hooks: "stack", setupFiles: "list" },
        // Time is looked at by within(). A timer of vitest's counts from the loop's last turn, which may be long ago.
        testTimeout: 0,
        hookTimeout: 0,
        retry: 0,
        allowOnly: false,
        tags: [],
      },
      importFile: (file: string) => import(pathToFileURL(file).href),
    } as unknown as VitestRunner; // all of it that collecting asks for
    const files: File[] = await collectTests(specFiles(root, this.#area.specs), collector);
    const ids = new Map<string, number>();
    for (const file of files) {
      const failed = file.result?.errors?.[0];
      if (failed !== undefined) throw new Error(`Cannot load ${file.filepath}: ${failed.message}`);
      const cases: Case[] = [];
      const walk = (suite: Suite, suites: readonly Suite[], name: string): void => {
        for (const task of suite.tasks) {
          if (task.mode === "skip" || task.mode === "todo") continue;
          if (task.type === "suite") walk(task, [...suites, task], `${name} ${task.name}`);
          else if (!TOO_SLOW.some((part) => `${name} ${task.name}`.includes(part))) {
            const plain = `${relative(root, file.filepath)}#${`${name} ${task.name}`.trim()}`;
            const count = (ids.get(plain) ?? 0) + 1;
            ids.set(plain, count);
            cases.push({ id: count === 1 ? plain : `${plain} (${count})`, test: task, suites });
          }
        }
      };
      walk(file, [file], "");
      this.#files.push({ name: file.filepath, cases });
    }
    const all = this.#files.flatMap(({ cases }) => cases);
    const isLate = ({ test }: Case) => LATE.some((part) => test.name.includes(part));
    this.#ordered = [...all.filter((each) => !isLate(each)), ...all.filter(isLate)];
  }

  /** Runs one test with its hooks; null where it passes. */
  async #run(each: Case, id: string | undefined): Promise<unknown> {
    const { test, suites } = each;
    // Most tests need no turn of the loop, and what they left behind, as well as the loop's own time, would stand still.
    await turn();
    this.#strayError = null;
    this.#ns.currentTestId = id;
    const undo: (() => unknown)[] = [];
    const hooks = (kind: "beforeEach" | "afterEach") => suites.map((suite) => getHooks(suite)[kind]);
    try {
      return await within(id === undefined ? IDLE_MS_MAX : 20 * IDLE_MS_MAX, async () => {
        for (const suite of suites) await this.#begin(suite);
        for (const [i, list] of hooks("beforeEach").entries()) {
          for (const hook of list) {
            const after = await hook(test.context, suites[i]!);
            if (typeof after === "function") undo.push(() => after(test.context, suites[i]!));
          }
        }
        try {
          await (id === undefined ? guarded(getFn(test)) : getFn(test)());
        } finally {
          for (const [i, list] of [...hooks("afterEach").entries()].reverse()) {
            for (const hook of [...list].reverse()) await hook(test.context, suites[i]!);
          }
          for (const last of undo.reverse()) await last();
        }
        if (this.#strayError !== null) throw this.#strayError;
      });
    } finally {
      this.#ns.currentTestId = undefined;
    }
  }

  readonly #begun = new Set<Suite>();

  /** What stands before all tests of a suite is done once in this process; what stands after them comes with its end. */
  async #begin(suite: Suite): Promise<void> {
    if (this.#begun.has(suite)) return;
    this.#begun.add(suite);
    for (const hook of getHooks(suite).beforeAll) await hook(suite);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs `fn`; its error, or one that says that it did not end, or null. */
function within(idleMax: number, fn: () => Promise<void>): Promise<unknown> {
  return new Promise((resolve) => {
    const { idle } = performance.eventLoopUtilization();
    const cpu = process.cpuUsage();
    const look = setInterval(() => {
      const { user, system } = process.cpuUsage(cpu);
      const waited = performance.eventLoopUtilization().idle - idle;
      if (waited > idleMax || user + system > CPU_MS_MAX * 1000) end(new Error("the test did not end"));
    }, LOOK_MS);
    const end = (error: unknown): void => {
      clearInterval(look);
      resolve(error);
    };
    fn().then(
      () => end(null),
      (error: unknown) => end(error ?? new Error("a rejection without an error")),
    );
  });
}

/** How V8 is asked to end what runs for too long without giving way, as a loop without an end does. */
const call = new Script("globalThis[Symbol.for('persistconn.mutation')]()");

function guarded(fn: () => PromiseLike<void> | void): PromiseLike<void> | void {
  (globalThis as unknown as Record<symbol, unknown>)[Symbol.for("persistconn.mutation")] = fn; // for `call`
  return call.runInThisContext({ timeout: LOOP_MS_MAX }) as ReturnType<typeof fn>;
}

function isEndless(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
}

/** In the order in which they are named; a name that ends with a slash stands for all specs of a folder. */
function specFiles(root: string, names: readonly string[]): string[] {
  const files = names.flatMap((name) => {
    if (!name.endsWith("/")) return [name];
    const inside = readdirSync(join(root, name)).filter((file) => file.endsWith(".spec.ts"));
    return inside.sort().map((file) => name + file);
  });
  return [...new Set(files)].map((file) => join(root, file));
}

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, "in-process", InProcessRunner)];
