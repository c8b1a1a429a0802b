/**
 * How long an answer asks to wait. Pure.
 *
 * RFC 9110 §10.2.3: delay-seconds, or an HTTP-date.
 */

import { parseHttpDate } from "../message/http-date.ts";

/**
 * Milliseconds, 0 where the time is past; null where nothing is said, or nothing that can be understood.
 *
 * @param wallNow milliseconds since the epoch
 */
export function retryAfter(value: string | null, wallNow: number): number | null {
  if (value === null) return null;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = parseHttpDate(value, wallNow);
  return at === null ? null : Math.max(at - wallNow, 0);
}
