/**
 * A port on which a connect hangs: the listener accepts nobody, and the queue of those who wait to be accepted is full,
 * so that the kernel drops what more comes. This is what a dead host looks like, on loopback.
 */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";

const BACKLOG = 1;
/** The kernel lets one more into the queue than was asked for. */
const QUEUE = BACKLOG + 1;

/** Listens, and never looks at its loop again. */
const LISTENER = `
  const { createServer } = require("node:net");
  const { parentPort } = require("node:worker_threads");
  const server = createServer().listen({ port: 0, host: "127.0.0.1", backlog: ${BACKLOG} }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });
`;

export interface DeafServer extends AsyncDisposable {
  readonly port: number;
}

export async function deafServer(): Promise<DeafServer> {
  const worker = new Worker(LISTENER, { eval: true });
  const [port] = (await once(worker, "message")) as [number]; // what LISTENER posts
  const queued: Socket[] = [];
  while (queued.length < QUEUE) {
    const socket = connect(port, "127.0.0.1");
    queued.push(socket);
    await once(socket, "connect");
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of queued) {
        socket.destroy();
        await once(socket, "close");
      }
      await worker.terminate();
    },
  };
}
