/**
 * A server that closes each connection some time after each answer, unless the next request comes first: what every
 * server with a keep-alive time does, only in a hurry. It stamps each close.
 *
 * GET TARGET   200, with the target as its body
 */

import net from "node:net";
import { portOf, programSettings, serveParent } from "../../support/child.ts";
import { seeded } from "../../support/seeded.ts";
import { stamp } from "../monotonic.ts";

export interface IdleCloserSettings {
  readonly seed: number;
  /** The longest time that a connection may be idle, in ms; each time is drawn from 0 up to it. */
  readonly idleMax: number;
}
export interface IdleCloserReady {
  readonly port: number;
}
export interface Close {
  /** The client's port. */
  readonly port: number;
  /** Just before the call that closes, and when the kernel had surely taken it. */
  readonly before: number;
  readonly after: number;
}

const settings = programSettings<IdleCloserSettings>();
const chance = seeded(settings.seed);
let closes: Close[] = [];

function serve(socket: net.Socket): void {
  const port = socket.remotePort ?? 0;
  let unread = "";
  let idle: NodeJS.Timeout | undefined;
  const close = () => {
    const before = stamp();
    const note = () => closes.push({ port, before, after: stamp() });
    // destroy() closes in the kernel before it returns; end() only asks for it, and says when it is done. A socket
    // that was closed by end() still stands, and may see the request that crossed its FIN: it stays unanswered.
    if (chance.next() < 0.5) {
      socket.destroy();
      note();
    } else {
      socket.removeAllListeners("data").resume().end(note);
    }
  };
  socket.setNoDelay(true);
  socket.on("error", () => {}); // the client may have gone first
  socket.on("close", () => clearTimeout(idle));
  socket.setEncoding("latin1").on("data", (text: string) => {
    unread += text;
    const end = unread.indexOf("\r\n\r\n");
    if (end < 0) return;
    clearTimeout(idle);
    const target = unread.split(" ", 2)[1] ?? "";
    unread = unread.slice(end + 4);
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
    const ms = chance.below(settings.idleMax + 1);
    if (ms === 0) close();
    else idle = setTimeout(close, ms);
  });
}

const server = net.createServer(serve).listen(0, "127.0.0.1", () => {
  const ready: IdleCloserReady = { port: portOf(server) };
  serveParent(ready, () => {
    const seen = closes;
    closes = [];
    return seen;
  });
});
