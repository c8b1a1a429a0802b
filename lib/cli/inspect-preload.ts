/**
 * Loaded into a program before its first line by `persistconn inspect -- COMMAND`: serves one page for all transports that
 * it makes from then on, and tells where. The program knows nothing of it, and does not stay alive for it.
 *
 * Never: reads or changes anything of the program; loads the library into one that does not use it.
 */

import { subscribe } from "node:diagnostics_channel";
import { InspectorServer } from "../observe/inspector/server.ts";
import { TRANSPORTS, type Watched } from "../watched.ts";

const port = Number(process.env["PERSISTCONN_INSPECT_PORT"] ?? 0);
let server: Promise<InspectorServer | null> | null = null;

async function serve(): Promise<InspectorServer | null> {
  try {
    const made = await InspectorServer.listen({ port, keepAlive: false });
    process.stderr.write(`persistconn: inspect it at ${made.url}\n`);
    return made;
  } catch (error) {
    process.stderr.write(`persistconn: cannot be inspected: ${(error as Error).message}\n`); // listen() fails with system errors
    return null;
  }
}

subscribe(String(TRANSPORTS.name), (message) => {
  server ??= serve();
  server.then((made) => made?.watch(message as Watched)); // what showWatched() publishes there
});
