/**
 * What the kernel knows about sockets, from /proc/net/tcp and tcp6. Elsewhere than on Linux there is nothing to read,
 * and the answers are null.
 */

import { readFileSync } from "node:fs";

interface Row {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: number;
  /** 0 none, 1 retransmission, 2 keep-alive, 3 TIME_WAIT, 4 zero window. */
  readonly timer: number;
  /** Milliseconds until the timer fires. */
  readonly timerMs: number;
}

const TIME_WAIT = 6;
/** /proc counts in ticks of 1/100 s (USER_HZ), whatever the kernel's own. */
const TICK_MS = 10;

function rows(): Row[] | null {
  const found: Row[] = [];
  let tables = 0;
  for (const path of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    let text: string;
    try {
      text = readFileSync(path, "latin1");
    } catch {
      continue;
    }
    tables++;
    for (const line of text.split("\n").slice(1)) {
      const [, local, remote, state, , timer] = line.trim().split(/\s+/);
      if (local === undefined || remote === undefined || state === undefined || timer === undefined) continue;
      const [kind, left] = timer.split(":");
      found.push({
        localPort: hexAfterColon(local),
        remotePort: hexAfterColon(remote),
        state: Number.parseInt(state, 16),
        timer: Number.parseInt(kind ?? "0", 16),
        timerMs: Number.parseInt(left ?? "0", 16) * TICK_MS,
      });
    }
  }
  return tables === 0 ? null : found;
}

function hexAfterColon(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(":") + 1), 16);
}

/** Sockets in TIME_WAIT that were connections to this port, whichever side closed first. */
export function timeWaitCount(port: number): number | null {
  return (
    rows()?.filter((row) => row.state === TIME_WAIT && (row.localPort === port || row.remotePort === port)).length ??
    null
  );
}

/** Milliseconds until the keep-alive timer of the connection with this local port fires; null where none is armed. */
export function keepAliveTimerMs(localPort: number, remotePort: number): number | null {
  const row = rows()?.find((row) => row.localPort === localPort && row.remotePort === remotePort);
  return row?.timer === 2 ? row.timerMs : null;
}

/** Whether there is a kernel to ask. */
export function kernelIsReadable(): boolean {
  return rows() !== null;
}
