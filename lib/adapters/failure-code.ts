/**
 * The word that programs know for a failure: they were written for clients whose errors carry the code of the system
 * (`ECONNREFUSED`, `ECONNRESET`, …), and decide by it whether to try again. Pure.
 */

import { ConnectionClosedError, IncompleteBodyError, ProxyError, TimeoutError } from "../errors.ts";

/** How deep causes are looked at: an AggregateError of a dial, its first error, and what that has for a cause. */
const DEPTH_MAX = 4;

/**
 * @returns the system's code where the error or one of its causes has it; else the one that Node's own client gives in the
 *   same case: ECONNRESET where the connection was lost, ETIMEDOUT where a time limit was reached; else undefined
 */
export function failureCode(error: unknown): string | undefined {
  const code = systemCode(error, 0);
  if (code !== undefined) return code;
  if (error instanceof TimeoutError) return "ETIMEDOUT";
  if (error instanceof ConnectionClosedError || error instanceof IncompleteBodyError) return "ECONNRESET";
  // It closed the connection in the place of an answer; one that refused has a status, and would refuse again.
  return error instanceof ProxyError && error.status === null ? "ECONNRESET" : undefined;
}

function systemCode(error: unknown, depth: number): string | undefined {
  if (!(error instanceof Error) || depth > DEPTH_MAX) return undefined;
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown }; // looked at one by one
  // Ours and Node's own begin with ERR_; those of TLS, which say what was wrong with a certificate, do not.
  if (typeof code === "string" && !code.startsWith("ERR_")) return code;
  const [first] = Array.isArray(errors) ? errors : [];
  return systemCode(cause, depth + 1) ?? systemCode(first, depth + 1);
}
