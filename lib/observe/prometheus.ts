/**
 * `transport.stats()` in the text format of Prometheus, version 0.0.4. Pure: whoever serves `/metrics` asks for it.
 *
 * Never: names a host. Each value of a label is a time series of its own.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

import type { TransportStats } from "../transport.ts";

/** The content type that goes with the text. */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * @param stats of one transport
 * @param labels for every sample, to tell transports apart: `{ client: "billing" }`
 * @throws {TypeError} a label's name that Prometheus does not take
 */
export function prometheusText(stats: TransportStats, labels: Readonly<Record<string, string>> = {}): string {
  for (const name of Object.keys(labels)) {
    if (!LABEL_NAME.test(name))
      throw new TypeError(`Cannot write label ${JSON.stringify(name)}: not of the form [a-zA-Z_][a-zA-Z0-9_]*`);
  }
  const sample = (name: string, value: number, own: Readonly<Record<string, string>> = {}) => {
    const pairs = Object.entries({ ...labels, ...own }).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  };
  const metric = (name: string, type: "gauge" | "counter", help: string, samples: string[]) =>
    `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.join("")}`;
  const one = (name: string, type: "gauge" | "counter", help: string, value: number) =>
    metric(name, type, help, [sample(name, value)]);

  const connections = (["dialing", "busy", "idle"] as const).map((state) =>
    sample("persistconn_connections", stats[state], { state }),
  );
  connections.push(sample("persistconn_connections", stats.handedOver, { state: "handed_over" }));
  const closes = Object.entries(stats.closed).map(([reason, count]) =>
    sample("persistconn_connections_closed_total", count, { reason }),
  );
  return [
    metric("persistconn_connections", "gauge", "Connections by what they do.", connections),
    one("persistconn_waiting", "gauge", "Requests that wait for a connection.", stats.waiting),
    one("persistconn_calls_total", "counter", "Round trips begun.", stats.calls),
    one("persistconn_retries_total", "counter", "Attempts after the first.", stats.retries),
    one("persistconn_pipelined_total", "counter", "Requests sent behind another on its connection.", stats.pipelined),
    one("persistconn_dials_total", "counter", "Dials that made a connection.", stats.dialed),
    one("persistconn_dials_failed_total", "counter", "Dials that made none.", stats.dialsFailed),
    metric("persistconn_connections_closed_total", "counter", "Connections closed, by reason.", closes),
  ].join("");
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`));
}
