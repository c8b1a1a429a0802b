/**
 * The events of a transport as the sentences that `explain` makes of them, for specs that compare words. Calls and
 * connections are numbered in the order in which they appear; what differs from run to run has a name.
 */

import { explain, subjectOf } from "../../lib/observe.ts";
import type { TraceEvent } from "../../lib/trace.ts";

export class Story {
  readonly events: TraceEvent[] = [];
  readonly #calls: number[] = [];
  readonly #connections: number[] = [];
  readonly #names: [RegExp, string][] = [];
  #told = 0;

  readonly on = (event: TraceEvent): void => {
    this.events.push(event);
  };

  /** Shows a text that depends on the run as a name. */
  name(text: string, name: string): void {
    this.#names.push([new RegExp(text.replaceAll(".", "\\."), "g"), name]);
  }

  /** The sentences since the last call. */
  take(): string[] {
    const events = this.events.slice(this.#told).map((event) => this.#numbered(event));
    this.#told = this.events.length;
    return events
      .filter(({ type }) => type !== "body-data" && type !== "body-sent" && type !== "connect-start")
      .map((event) => this.#named(`${subjectOf(event)} ${explain(event)}`));
  }

  #named(line: string): string {
    let named = line.replace(/\d+ bytes?/g, "N bytes");
    for (const [text, name] of this.#names) named = named.replace(text, name);
    return named;
  }

  #numbered(event: TraceEvent): TraceEvent {
    const call = event.call === null ? null : numbered(this.#calls, event.call);
    const connection = event.connection === null ? null : numbered(this.#connections, event.connection);
    const common = { call, connection };
    switch (event.type) {
      case "pool-wait": {
        const ahead = event.ahead.map((id) => numbered(this.#calls, id));
        const holders = event.holders.map((id) => numbered(this.#calls, id));
        return { ...event, ...common, ahead, holders };
      }
      case "pool-assigned": {
        const behind = event.behind?.map((id) => numbered(this.#calls, id));
        return { ...event, ...common, ...(behind === undefined ? {} : { behind }) };
      }
      case "dial-done":
        return { ...event, ...common, id: numbered(this.#connections, event.id) };
      default:
        return { ...event, ...common };
    }
  }
}

function numbered(known: number[], id: number): number {
  if (!known.includes(id)) known.push(id);
  return known.indexOf(id) + 1;
}
