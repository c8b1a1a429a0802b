/**
 * A client of the library whose connections are counted twice: those that its trace says requests were written on, and
 * the ports from which the servers say that requests came. The two must agree, or one of them lies. There may be more
 * dials than either: a call whose dial is still under way takes a connection that became idle (late binding), and the
 * dial ends in the pool without a request of its own.
 */

import { Client, type Response, Transport, type TransportOptions } from "../../lib/index.ts";

export interface CountedClient extends AsyncDisposable {
  readonly client: Client;
  readonly transport: Transport;
  readonly dials: number;
  /** Ids of the connections that a request was written on. */
  readonly used: ReadonlySet<number>;
  /** Notes where an answer came through. */
  through(answer: Response): void;
  /** Client ports that answers named. */
  readonly ports: ReadonlySet<string>;
}

export function countedClient(options: TransportOptions = {}): CountedClient {
  let dials = 0;
  const used = new Set<number>();
  const ports = new Set<string>();
  const transport = new Transport({
    ...options,
    trace: {
      groups: ["dial", "connection"],
      on(event) {
        if (event.type === "dial-start") dials++;
        if (event.type === "request-write" && event.connection !== null) used.add(event.connection);
      },
    },
  });
  const client = new Client({ transport });
  return {
    client,
    transport,
    used,
    ports,
    get dials() {
      return dials;
    },
    through(answer) {
      ports.add(answer.headers.get("x-client-port") ?? "none named");
    },
    [Symbol.asyncDispose]: () => transport.close(),
  };
}
