/**
 * Loaded into a program before its first line by `persistconn inspect -- COMMAND`: serves one page for all transports that
 * it makes from then on, and tells where. The program knows nothing of it, and does not stay alive for it.
 *
 * Never: reads or changes anything of the program; loads the library into one that does not use it.
 */

import { subscribe } from "node:diagnostics_channel";
import type { InspectorServer } from "../observe/inspector/server.ts";
import type { Watched } from "../watched.ts";

/** `TRANSPORTS` of watched.ts, by its name: to import it would load the library. */
const CHANNEL = "persistconn:transport";

const port = Number(process.env["PERSISTCONN_INSPECT_PORT"] ?? 0);
let server: Promise<InspectorServer | null> | null = null;

async function serve(): Promise<InspectorServer | null> {
  try {
    const { InspectorServer } = await import("../observe/inspector/server.ts");
    const made = await InspectorServer.listen({ port, keepAlive: false });
    process.stderr.write(`persistconn: inspect it at ${made.url}\n`);
    return made;
  } catch (error) {
    process.stderr.write(`persistconn: cannot be inspected: ${(error as Error).message}\n`); // listen() fails with system errors
    return null;
  }
}

subscribe(CHANNEL, (message) => {
  server ??= serve();
  server.then((made) => made?.watch(message as Watched)); // what showWatched() publishes there
});
