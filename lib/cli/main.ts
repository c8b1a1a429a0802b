#!/usr/bin/env node
/**
 * The command `persistconn`. Gives the process's streams to `run`, and its exit code back; the second SIGINT is the
 * shell's.
 */

import { systemClock } from "../clock.ts";
import { run } from "./run.ts";

const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort(new Error("interrupted")));

run(process.argv.slice(2), {
  // Opened only where it is read: naming it opens it.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  clock: systemClock,
  signal: interrupted.signal,
}).then((code) => {
  process.exitCode = code;
});
