/**
 * The handle on the server's process: starts it, talks to it over IPC, ends it.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

export interface ListenOptions {
  /** What every request's body must be, to the byte; null takes anything. */
  readonly expect: string | null;
  /** The answer comes after a time between these two. */
  readonly delayMs: readonly [least: number, most: number];
  /** A connection is closed when it has been idle for so long; 0 for never. */
  readonly idleMs: number;
}

export interface Counts {
  readonly accepted: number;
  readonly answered: number;
  /** Requests whose body was not what it had to be. */
  readonly incomplete: number;
}

export type Command =
  | { readonly do: "listen"; readonly options: ListenOptions }
  | { readonly do: "counts"; readonly port: number }
  | { readonly do: "close-idle"; readonly port: number };

/** One port of the server. */
export class Origin {
  readonly #process: OriginProcess;
  readonly port: number;
  readonly url: string;

  constructor(process: OriginProcess, port: number) {
    this.#process = process;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  async counts(): Promise<Counts> {
    return (await this.#process.ask({ do: "counts", port: this.port })) as Counts; // what origin.ts answers to "counts"
  }

  async closeIdle(): Promise<void> {
    await this.#process.ask({ do: "close-idle", port: this.port });
  }
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

export class OriginProcess {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #next = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (reply: Reply) => {
      const asked = this.#asked.get(reply.id);
      this.#asked.delete(reply.id);
      if (reply.error === undefined) asked?.resolve(reply.result);
      else asked?.reject(new Error(reply.error));
    });
    child.on("exit", (code) => {
      for (const asked of this.#asked.values()) asked.reject(new Error(`the server's process ended with ${code}`));
    });
  }

  static async start(): Promise<OriginProcess> {
    // The loader that runs this file in TypeScript is inherited with execArgv.
    const child = fork(new URL("./origin.ts", import.meta.url));
    await once(child, "message");
    return new OriginProcess(child);
  }

  async listen(options: Partial<ListenOptions> = {}): Promise<Origin> {
    const all: ListenOptions = { expect: null, delayMs: [0, 0], idleMs: 0, ...options };
    return new Origin(this, Number(await this.ask({ do: "listen", options: all })));
  }

  ask(command: Command): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#child.send({ id, command });
    });
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.disconnect();
    await exited;
  }
}
