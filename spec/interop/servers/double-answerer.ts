/**
 * A server that answers some requests twice: the second answer was asked for by nobody, says so by the target of the
 * request before, and comes in the same segment, in the next one, or some milliseconds later. It stamps when.
 *
 * GET TARGET   200, with the target as its body
 */

import net from "node:net";
import { portOf, programSettings, serveParent } from "../child.ts";
import { stamp } from "../monotonic.ts";
import { seeded } from "../seeded.ts";

export interface DoubleAnswererSettings {
  readonly seed: number;
  /** The longest time between an answer and its echo, in ms. */
  readonly delayMax: number;
}
export interface DoubleAnswererReady {
  readonly port: number;
}
export interface Unasked {
  /** The client's port. */
  readonly port: number;
  /** The target it repeats. */
  readonly target: string;
  /** The kernel took it between these. */
  readonly before: number;
  readonly after: number;
}

const settings = programSettings<DoubleAnswererSettings>();
const chance = seeded(settings.seed);
let unasked: Unasked[] = [];

function serve(socket: net.Socket): void {
  const port = socket.remotePort ?? 0;
  let unread = "";
  socket.setNoDelay(true);
  socket.on("error", () => {}); // the client closes what spoke unasked
  // A write of a few bytes to a socket that has none waiting is in the kernel when it returns.
  const send = (target: string, text: string) => {
    if (socket.destroyed || !socket.writable) return;
    const before = stamp();
    socket.write(text);
    unasked.push({ port, target, before, after: stamp() });
  };
  const answerTo = (target: string) => {
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`;
    const kind = chance.below(4);
    if (kind === 1) {
      send(target, answer + answer);
      return;
    }
    socket.write(answer);
    if (kind === 2) setImmediate(send, target, answer);
    if (kind === 3) setTimeout(send, 1 + chance.below(settings.delayMax), target, answer);
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
    const seen = unasked;
    unasked = [];
    return seen;
  });
});
