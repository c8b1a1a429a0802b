/**
 * Cache-Status: what the cache did, as the last member of a field in every answer that went through it.
 *
 * RFC 9211 §2 (parameters). `stored` says that storing began: whether the body came whole is known only at its end.
 */

/** Why a request went on. `bypass`: the cache takes no part in such requests. */
export type Forwarded = "bypass" | "method" | "uri-miss" | "vary-miss" | "request" | "stale" | "miss";

export interface CacheStatus {
  readonly hit?: boolean;
  readonly fwd?: Forwarded;
  /** Status of the answer that the cache got, where it gives another. */
  readonly fwdStatus?: number;
  /** Seconds of freshness left; negative where it is stale. */
  readonly ttl?: number;
  readonly stored?: boolean;
  /** The answer to another request served this one too. */
  readonly collapsed?: boolean;
  /** A token: "only-if-cached", "stale-if-error". */
  readonly detail?: string;
}

export function formatCacheStatus(name: string, status: CacheStatus): string {
  const parts = [name];
  if (status.hit) parts.push("hit");
  if (status.fwd !== undefined) parts.push(`fwd=${status.fwd}`);
  if (status.fwdStatus !== undefined) parts.push(`fwd-status=${status.fwdStatus}`);
  if (status.ttl !== undefined) parts.push(`ttl=${Math.floor(status.ttl)}`);
  if (status.stored) parts.push("stored");
  if (status.collapsed) parts.push("collapsed");
  if (status.detail !== undefined) parts.push(`detail=${status.detail}`);
  return parts.join("; ");
}
