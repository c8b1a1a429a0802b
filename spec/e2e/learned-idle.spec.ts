/**
 * A server that closes idle connections after some time is asked on none that is about to be closed (option
 * learnIdleTimeout): over loopback, every byte scripted, time under the spec's hand.
 */

import { describe, expect, test } from "vitest";
import type { TraceEvent } from "../../lib/index.ts";
import { OK } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";

checkLeaks();

const IDLE_MS = 5000;

async function served(peer: ScriptedPeer, known?: PeerConn, trace: (event: TraceEvent) => void = () => {}) {
  const call = peer.client.get(peer.url(), { trace });
  const conn = known ?? (await peer.accept());
  await conn.readHead();
  conn.reply(OK);
  const response = await call;
  await response.bytes();
  return { conn, response };
}

const idleCloses = (peer: ScriptedPeer) => peer.transport.stats().closed["server-closed-idle"] ?? 0;

/** One connection that the server closes after `ms` of idleness. */
async function closedIdle(peer: ScriptedPeer, clock: SteeredClock, ms = IDLE_MS): Promise<void> {
  const { conn } = await served(peer);
  const before = idleCloses(peer);
  await clock.advance(ms);
  conn.end();
  await until(() => idleCloses(peer) > before, "the close is seen");
}

describe("an idle connection", () => {
  test("older than 0.8 of the age at which its server closed two others is not given out, and the trace says why", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    await closedIdle(peer, clock);
    await closedIdle(peer, clock);
    const { conn } = await served(peer);
    await clock.advance(IDLE_MS * 0.8);
    expect((await served(peer, conn)).response.connection?.reused).toBe(true);
    expect(peer.transport.stats().learnedIdle).toEqual([{ key: `|http|${peer.authority}`, closesAfter: IDLE_MS }]);

    await clock.advance(IDLE_MS * 0.8 + 1);
    const events: TraceEvent[] = [];
    const { response } = await served(peer, undefined, (event) => void events.push(event));
    expect(response.connection?.reused).toBe(false);
    expect(events).toContainEqual(
      expect.objectContaining({ type: "connection-passed-over", idleMs: 4001, closesAfterMs: IDLE_MS }),
    );
    expect(peer.transport.stats().closed).toMatchObject({ "learned-idle-timeout": 1 });
    await conn.readToEnd();
  });

  test("is given out at any age where the option is off", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, learnIdleTimeout: false });
    await closedIdle(peer, clock);
    await closedIdle(peer, clock);
    const { conn } = await served(peer);
    await clock.advance(IDLE_MS * 0.9);
    expect((await served(peer, conn)).response.connection?.reused).toBe(true);
    expect(peer.transport.stats().learnedIdle).toEqual([]);
  });

  test("that outlived what was learned is given out, and the lesson is forgotten", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    await closedIdle(peer, clock);
    await closedIdle(peer, clock);
    const { conn } = await served(peer);
    await clock.advance(IDLE_MS * 1.3);
    expect((await served(peer, conn)).response.connection?.reused).toBe(true);
    await clock.advance(IDLE_MS * 0.9);
    expect((await served(peer, conn)).response.connection?.reused).toBe(true);
    expect(peer.transport.stats().learnedIdle).toEqual([]);
  });

  test("closed by a restart, with others of other ages, teaches nothing", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    for (let restart = 0; restart < 3; restart++) {
      const calls = [peer.client.get(peer.url()), peer.client.get(peer.url())];
      const conns = [await peer.accept(), await peer.accept()];
      for (const conn of conns) {
        await conn.readHead();
        conn.reply(OK);
        await until(() => peer.transport.stats().idle === conns.indexOf(conn) + 1, "it is idle");
        await clock.advance(2000);
      }
      for (const call of calls) await (await call).bytes();
      const before = idleCloses(peer);
      for (const conn of conns) conn.end();
      await until(() => idleCloses(peer) === before + 2, "the closes are seen");
    }
    await clock.advance(2000);
    expect(peer.transport.stats().learnedIdle).toEqual([]);
  });

  test("that served no request teaches nothing: the server's limit for those is another", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    for (let i = 0; i < 2; i++) {
      const controller = new AbortController();
      const call = peer.client.get(peer.url(), {
        signal: controller.signal,
        trace: ({ type }) => {
          if (type === "pool-assigned") controller.abort(); // it goes into the pool as it came
        },
      });
      await expect(call).rejects.toThrow();
      const conn = await peer.accept();
      expect(peer.transport.stats().idle).toBe(1);
      await clock.advance(IDLE_MS);
      conn.end();
      await until(() => idleCloses(peer) === i + 1, "the close is seen");
    }
    await clock.advance(2000);
    expect(peer.transport.stats().learnedIdle).toEqual([]);
  });

  test("that is passed over while the call is aborted by who hears of it: nothing is left", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    await closedIdle(peer, clock);
    await closedIdle(peer, clock);
    const { conn } = await served(peer);
    await clock.advance(IDLE_MS * 0.9);
    const controller = new AbortController();
    const call = peer.client.get(peer.url(), {
      signal: controller.signal,
      trace: ({ type }) => {
        if (type === "connection-passed-over") controller.abort(new Error("enough"));
      },
    });
    await expect(call).rejects.toThrow("enough");
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, waiting: 0, dialing: 0 });
  });
});
