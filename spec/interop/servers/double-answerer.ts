/**
 * A server that answers some requests twice: the second answer was asked for by nobody, says so by the target of the
 * request before, and comes in the same segment, in the next one, or some milliseconds later. It stamps when.
 *
 * GET TARGET   200, with the target as its body
 */

import net from "node:net";
import { portOf, programSettings, serveParent } from "../../support/child.ts";
import { seeded } from "../../support/seeded.ts";
import { stamp } from "../monotonic.ts";

export interface DoubleAnswererSettings {
  readonly seed: number;
  /** The longest time between an answer and its echo, in ms. */
  readonly delayMax: number;
}
export interface DoubleAnswererReady {
  readonly port: number;
}
/** One message that was sent, due or not. */
export interface Sent {
  /** Of the connection: in the order of their arrival, and the client's port. */
  readonly connection: number;
  readonly port: number;
  /** The target that it answers, and whether it is the second to do so. */
  readonly target: string;
  readonly unasked: boolean;
  /** The kernel took it between these. */
  readonly before: number;
  readonly after: number;
}

const settings = programSettings<DoubleAnswererSettings>();
const chance = seeded(settings.seed);
let connections = 0;
let sent: Sent[] = [];

function serve(socket: net.Socket): void {
  const connection = connections++;
  const port = socket.remotePort ?? 0;
  let unread = "";
  socket.setNoDelay(true);
  socket.on("error", () => {}); // the client closes what spoke unasked
  /** A write of a few bytes to a socket that has none waiting is in the kernel when it returns. */
  const send = (target: string, ...unasked: boolean[]) => {
    if (socket.destroyed || !socket.writable) return;
    const before = stamp();
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`.repeat(unasked.length));
    const after = stamp();
    for (const second of unasked) sent.push({ connection, port, target, unasked: second, before, after });
  };
  const answerTo = (target: string) => {
    const kind = chance.below(4);
    if (kind === 1) return send(target, false, true);
    send(target, false);
    if (kind === 2) setImmediate(send, target, true);
    if (kind === 3) setTimeout(send, 1 + chance.below(settings.delayMax), target, true);
  };
  socket.setEncoding("latin1").on("data", (text: string) => {
    unread += text;
    for (let end = unread.indexOf("\r\n\r\n"); end >= 0; end = unread.indexOf("\r\n\r\n")) {
      answerTo(unread.split(" ", 2)[1] ?? "");
      unread = unread.slice(end + 4);
    }
  });
}

const server = net.createServer(serve).listen(0, "127.0.0.1", () => {
  const ready: DoubleAnswererReady = { port: portOf(server) };
  serveParent(ready, () => {
    const seen = sent;
    sent = [];
    return seen;
  });
});
