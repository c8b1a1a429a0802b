/**
 * What goes out with `-d`, `--data-binary` and `--json`: the parts put together, in memory, so that the request can be
 * sent any number of times. And the file of `--cacert`.
 */

import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { DataPart, HeaderEdit, Options } from "./args.ts";

/** A file or stdin could not be read. */
export class InputError extends Error {
  override readonly name = "InputError";
  constructor(what: string, cause: unknown) {
    super(`Cannot read ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** @returns null where no part was given: the request then has no body at all, not an empty one */
export async function readData(
  parts: readonly DataPart[],
  stdin: Readable,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  if (parts.length === 0) return null;
  const pieces: Uint8Array[] = [];
  for (const [i, part] of parts.entries()) {
    if (i > 0 && part.glue !== "") pieces.push(Buffer.from(part.glue));
    const bytes = part.source === "text" ? Buffer.from(part.value) : await readSource(part, stdin, signal);
    pieces.push(part.strip ? bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d && byte !== 0) : bytes);
  }
  return Buffer.concat(pieces);
}

async function readSource(part: DataPart, stdin: Readable, signal: AbortSignal): Promise<Buffer> {
  try {
    if (part.source === "file") return await readFile(part.value, { signal });
    const chunks: Buffer[] = [];
    // Destroying it ends the wait for a keyboard that nobody touches.
    const stop = () => stdin.destroy(new Error("interrupted"));
    signal.addEventListener("abort", stop, { once: true });
    try {
      for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
    } finally {
      signal.removeEventListener("abort", stop);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new InputError(part.source === "file" ? part.value : "stdin", error);
  }
}

/** Reads certificates in PEM. */
export async function readCertificates(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new InputError(path, error);
  }
}

/** The method that the flags add up to. */
export function methodOf(options: Pick<Options, "method" | "head" | "data">): string {
  return options.method ?? (options.head ? "HEAD" : options.data.length > 0 ? "POST" : "GET");
}

/**
 * The fields that the flags add up to, in order: those that a flag brings by itself, then `-H` as given.
 * `dropped` has the names, in lower case, of the defaults that must not go out.
 */
export function headersOf(options: Pick<Options, "headers" | "data" | "json">): {
  readonly pairs: (readonly [name: string, value: string])[];
  readonly dropped: ReadonlySet<string>;
} {
  const named = new Set(options.headers.map((edit) => edit.name.toLowerCase()));
  const pairs: (readonly [string, string])[] = [];
  const byItself = (name: string, value: string) => {
    if (!named.has(name.toLowerCase())) pairs.push([name, value]);
  };
  if (options.json) {
    byItself("Content-Type", "application/json");
    byItself("Accept", "application/json");
  } else if (options.data.length > 0) {
    byItself("Content-Type", "application/x-www-form-urlencoded");
  }
  const set = options.headers.filter((edit): edit is HeaderEdit & { kind: "set" } => edit.kind === "set");
  for (const edit of set) pairs.push([edit.name, edit.value]);
  const isSet = new Set(set.map((edit) => edit.name.toLowerCase()));
  return { pairs, dropped: new Set([...named].filter((name) => !isSet.has(name))) };
}
