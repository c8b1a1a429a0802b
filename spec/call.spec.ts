/** How a call ends where a listener of its own trace ends it in the middle of another end. */

import { expect, test } from "vitest";
import { Client, type TraceEvent, Transport } from "../lib/index.ts";
import { memoryNetwork, virtualClock } from "../lib/testing/index.ts";

/** A call whose dial never comes to anything; `told` hears every event, and `ends` what ended the call, in order. */
function unanswered(told: (event: TraceEvent, abort: () => void) => void, timeout = 0) {
  const clock = virtualClock();
  const network = memoryNetwork({ clock });
  network.listen("origin.test", 80, { admit: () => "ignored" });
  const ends: unknown[] = [];
  const controller = new AbortController();
  const transport = new Transport(
    {
      dial: network.dial,
      keepAlive: false, // a dial that nobody waits for is of no use
      trace: (event) => {
        if (event.type === "call-failed") ends.push(event.error);
        told(event, () => controller.abort("by the listener"));
      },
    },
    clock,
  );
  const { signal } = controller;
  const call = new Client({ transport }).get("http://origin.test/", { signal, timeout });
  return { clock, transport, call: call.catch((error: unknown) => error), ends };
}

test("Call that times out ends once, for that reason, though a listener aborts it when its dial is abandoned", async () => {
  const { clock, transport, call, ends } = unanswered(({ type }, abort) => {
    if (type === "dial-abandoned") abort();
  }, 1_000);
  await clock.advance(1_000);
  expect(await call).toMatchObject({ code: "ERR_HTTP_TIMEOUT", option: "timeout" });
  expect(ends).toEqual([await call]);
  await transport.close();
  expect(clock.armed).toBe(0);
});

test("Call that times out ends once, though a listener destroys the transport when its dial is abandoned", async () => {
  const { clock, transport, call, ends } = unanswered(({ type }) => {
    if (type === "dial-abandoned") transport.destroy();
  }, 1_000);
  await clock.advance(1_000);
  expect(await call).toMatchObject({ code: "ERR_HTTP_TIMEOUT", option: "timeout" });
  expect(ends).toEqual([await call]);
});

test("Transport.close() fails a call once, though a listener aborts it when its dial is abandoned", async () => {
  const { clock, transport, call, ends } = unanswered(({ type }, abort) => {
    if (type === "dial-abandoned") abort();
  });
  await clock.settle();
  await transport.close();
  expect(await call).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
  expect(ends).toEqual([await call]);
  expect(clock.armed).toBe(0);
});
