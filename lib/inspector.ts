/**
 * `transport.serveInspector()`: its options and its result, checked here; the server itself is loaded when somebody asks
 * for it, so that a program that does not never reads it.
 */

import { unknownOption, wrongType } from "./message/options.ts";
import { type Watched, watchedOf } from "./watched.ts";

export interface InspectorOptions {
  /** Port on 127.0.0.1. Default 0: one that the system chooses. */
  port?: number;
  /** The process stays alive for it. Default false. */
  keepAlive?: boolean;
}

/** A page that shows transports as they run. */
export interface Inspector extends AsyncDisposable {
  /** Where it is: on loopback, with a token in its path that nobody can guess. Whoever knows it sees all but secrets. */
  readonly url: string;
  readonly port: number;
  /**
   * Shows another transport too, until that is closed.
   *
   * @throws {TypeError} it is no Transport of this library
   */
  add(transport: object, name?: string): void;
  /** Ends every stream and gives the port back. Idempotent. */
  close(): Promise<void>;
}

const OPTIONS = ["port", "keepAlive"];

/**
 * @throws (rejects) {TypeError} unknown or wrong options; the system's error where the port cannot be had
 */
export async function serveInspector(watched: Watched, options: InspectorOptions = {}): Promise<Inspector> {
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  for (const name of Object.keys(options)) if (!OPTIONS.includes(name)) throw unknownOption(name, OPTIONS);
  const { port = 0, keepAlive = false } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw wrongType("port", "a port, 0 to 65535", port);
  if (typeof keepAlive !== "boolean") throw wrongType("keepAlive", "a boolean", keepAlive);
  const { InspectorServer } = await import("./observe/inspector/server.ts");
  const server = await InspectorServer.listen({ port, keepAlive });
  const forget = watched.whenClosed(() => void server.close());
  server.watch(watched);
  const close = () => {
    forget();
    return server.close();
  };
  return {
    url: server.url,
    port: server.port,
    add(transport, name) {
      const other = typeof transport === "object" && transport !== null ? watchedOf(transport) : null;
      if (other === null) throw new TypeError("Cannot show what is no Transport of this library");
      server.watch(other, name);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
