/**
 * A client of the library whose connections are counted twice: the dials as its trace tells them, and the ports from
 * which the servers say that requests came. The two must agree, or one of them lies.
 */

import { Client, type Response, Transport, type TransportOptions } from "../../lib/index.ts";

export interface CountedClient extends AsyncDisposable {
  readonly client: Client;
  readonly transport: Transport;
  readonly dials: number;
  /** Notes where an answer came through. */
  through(answer: Response): void;
  /** Client ports that answers named. */
  readonly ports: ReadonlySet<string>;
}

export function countedClient(options: TransportOptions = {}): CountedClient {
  let dials = 0;
  const ports = new Set<string>();
  const transport = new Transport({
    ...options,
    trace: {
      groups: ["dial"],
      on(event) {
        if (event.type === "dial-start") dials++;
      },
    },
  });
  const client = new Client({ transport });
  return {
    client,
    transport,
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
