/**
 * `persistconn inspect -- COMMAND`: runs a program that uses this library, with the live view of its transports. The
 * program's streams are ours, and its end is ours.
 */

import { spawn } from "node:child_process";
import { constants } from "node:os";

/** What it needs of the process. */
interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: { readonly isTTY?: boolean };
  /** Aborted by SIGINT. */
  readonly signal: AbortSignal;
}

/** Beside this file: as source in the specs, built elsewhere. */
const PRELOAD = new URL(`./inspect-preload${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** Resolves with the program's exit code, or 128 and its signal's number. @throws (rejects) it cannot be started */
export async function runInspected(command: readonly string[], port: number, io: Surroundings): Promise<number> {
  const [file = "", ...args] = command;
  const options = [io.env["NODE_OPTIONS"], `--import ${PRELOAD.href}`].filter((option) => option !== undefined);
  const env = { ...io.env, NODE_OPTIONS: options.join(" "), PERSISTCONN_INSPECT_PORT: String(port) };
  const child = spawn(file, args, { stdio: "inherit", env });
  // A terminal has told the program already.
  const interrupt = () => void (io.stderr.isTTY === true || child.kill("SIGINT"));
  io.signal.addEventListener("abort", interrupt, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    io.signal.removeEventListener("abort", interrupt);
  }
}
