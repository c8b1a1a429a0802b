/**
 * The first and the last moment of a stream that is dialed: how it gets connected, and how one that nobody wants goes
 * away. Nothing here outlives the call but a listener that swallows late errors of a destroyed stream.
 */

import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Calls back once: with null on `event`, with the error if that or the close comes first. No listener of it stays. */
export function once(socket: Socket, event: "connect" | "secureConnect", done: (error: Error | null) => void): void {
  const leave = () => {
    socket.off(event, stands).off("error", failed).off("close", closed);
  };
  const stands = () => {
    leave();
    done(null);
  };
  const failed = (error: Error) => {
    leave();
    done(error);
  };
  const closed = () => failed(Object.assign(new Error("The socket was closed"), { code: "ECONNRESET" }));
  socket.on(event, stands).on("error", failed).on("close", closed);
}

/** Destroys what nobody wants; an error that it still has must not end the process. */
export function discard(stream: Duplex): void {
  stream.on("error", () => {});
  stream.destroy();
}
