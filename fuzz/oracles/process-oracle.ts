/**
 * Readers in other languages: a process each, one JSON line a case. Go's net/http is compiled at the run into a temporary
 * folder; h11 is Debian's python3-h11. Where one is missing the run says so and goes on without: with ORACLES=install and
 * as root h11 is installed first.
 */

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { findOrInstallFile } from "../../spec/support/install.ts";
import type { Oracle, Pairs, Reading, ReadMessage } from "./reading.ts";

/** One message as a process tells it. */
interface Told {
  readonly status: number;
  readonly reason: string;
  readonly minor: number;
  readonly method: string;
  readonly target: string;
  readonly fields: Pairs;
  readonly body: string;
  readonly trailers: Pairs;
  readonly end?: boolean;
  readonly host?: string;
}

interface Answer {
  readonly messages: readonly Told[];
  readonly error: string;
  readonly state?: string;
  readonly rest: number;
}

const here = import.meta.dirname;
const H11 = "/usr/lib/python3/dist-packages/h11/__init__.py";
/** Debian's own: another python does not see Debian's packages. */
const PYTHON = "/usr/bin/python3";

/** @returns h11, or why it is not there */
export function h11Oracle(): Oracle | string {
  try {
    if (process.env["ORACLES"] === "install") findOrInstallFile(H11, "python3-h11");
    else if (!existsSync(H11)) return "python3-h11 is not installed";
  } catch (error) {
    return (error as Error).message; // findOrInstallFile throws errors only
  }
  return new ProcessOracle("h11", PYTHON, [path.join(here, "h11-oracle.py")], h11Reading, () => {});
}

/** @returns Go's net/http, or why it is not there */
export function goOracle(): Oracle | string {
  const folder = mkdtempSync(path.join(tmpdir(), "persistconn-go-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const program = path.join(folder, "oracle");
  const built = spawnSync("go", ["build", "-o", program, "main.go"], { cwd: path.join(here, "go"), encoding: "utf8" });
  if (built.status !== 0) {
    remove();
    return built.error === undefined ? `go build failed: ${built.stderr}` : "Go is not installed";
  }
  return new ProcessOracle("go", program, [], goReading, remove);
}

class ProcessOracle implements Oracle {
  readonly name: "go" | "h11";
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #read: (answer: Answer) => Reading;
  readonly #remove: () => void;
  /** Answers come in the order of the questions. */
  readonly #waiting: { resolve: (reading: Reading) => void; reject: (error: Error) => void }[] = [];
  #said = "";
  #over: Error | null = null;

  constructor(
    name: "go" | "h11",
    command: string,
    args: string[],
    read: (answer: Answer) => Reading,
    remove: () => void,
  ) {
    this.name = name;
    this.#read = read;
    this.#remove = remove;
    this.#child = spawn(command, args);
    this.#child.stderr.on("data", (data: Buffer) => {
      this.#said = (this.#said + data.toString()).slice(-2000);
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const asked = this.#waiting.shift();
      asked?.resolve(this.#read(JSON.parse(line) as Answer)); // the two programs beside this file write nothing else
    });
    const over = (error: Error) => {
      this.#over ??= error;
      for (const asked of this.#waiting.splice(0)) asked.reject(this.#over);
    };
    this.#child.on("error", over);
    this.#child.on("close", () => over(new Error(`${name} has ended: ${this.#said}`)));
    this.#child.stdin.on("error", over);
  }

  response(bytes: string, method: string): Promise<Reading> {
    return this.#ask("response", bytes, method);
  }

  requests(bytes: string): Promise<Reading> {
    return this.#ask("requests", bytes, "");
  }

  close(): void {
    this.#child.stdin.end();
    this.#remove();
  }

  #ask(kind: string, bytes: string, method: string): Promise<Reading> {
    if (this.#over !== null) return Promise.reject(this.#over);
    const question = { kind, method, bytes: Buffer.from(bytes, "latin1").toString("base64") };
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}

function goReading({ messages, error, rest }: Answer): Reading {
  const read = messages.map((told): ReadMessage => {
    const fields = decodedPairs(told.fields);
    return {
      ...base(told),
      reason: decoded(told.reason).replace(/^\d+ ?/, ""), // Status has the number too
      // Go keeps Host apart from the fields.
      fields: told.host ? [["host", told.host], ...fields] : fields,
      body: decoded(told.body),
      trailers: decodedPairs(told.trailers),
    };
  });
  return { messages: read, error, rest };
}

function h11Reading({ messages, error, state, rest }: Answer): Reading {
  const incomplete = messages.at(-1)?.end === true || state === "closed" || state === "paused" ? "" : "incomplete";
  const read = messages.map((told) => ({
    ...base(told),
    fields: told.fields,
    body: told.body,
    trailers: told.trailers,
  }));
  return { messages: read, error: error === "" ? incomplete : error, rest };
}

function base({ status, reason, minor, method, target }: Told) {
  return { status, reason, minor: minor - 10, method, target };
}

function decoded(base64: string): string {
  return Buffer.from(base64, "base64").toString("latin1");
}

function decodedPairs(pairs: Pairs): Pairs {
  return pairs.map(([name, value]) => [decoded(name).toLowerCase(), decoded(value)]);
}
