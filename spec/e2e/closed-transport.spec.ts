/**
 * What calls hear of a transport that is closed.
 */

import { expect, test } from "vitest";
import { TransportClosedError } from "../../lib/index.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { quiet, Stage } from "./phases.ts";

checkLeaks();

test("Transport.close() gives each call that it ends or refuses an error of its own, with that call's facts", async () => {
  await using stage = await Stage.open({ dial: () => new Promise(() => {}) });
  const { client, transport } = stage.peer;
  const waiting = ["http://one.test", "http://two.test"].map((origin) => quiet(client.get(origin)));
  await stage.driven(transport.close());
  const refused = ["http://three.test", "http://four.test"].map((origin) => quiet(client.get(origin)));
  const errors = await Promise.all([...waiting, ...refused].map((call) => call.catch((error: unknown) => error)));
  for (const error of errors) expect(error).toBeInstanceOf(TransportClosedError);
  expect(errors).toMatchObject([
    { origin: "http://one.test", safeToRetry: true },
    { origin: "http://two.test", safeToRetry: true },
    { origin: "http://three.test", safeToRetry: true },
    { origin: "http://four.test", safeToRetry: true },
  ]);
});
