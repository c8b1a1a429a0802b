import { expect, test } from "vitest";
import { prometheusText } from "../../lib/observe.ts";

const STATS = {
  dialing: 1,
  busy: 2,
  idle: 3,
  waiting: 4,
  handedOver: 0,
  dialed: 6,
  dialsFailed: 0,
  calls: 8,
  retries: 1,
  pipelined: 5,
  closed: { "idle-timeout": 2, timeout: 1 },
  learnedIdle: [],
} as const;

test("prometheusText() has HELP and TYPE before the samples of each metric, and a label for what differs", () => {
  const text = prometheusText(STATS);
  expect(text).toBe(
    [
      "# HELP persistconn_connections Connections by what they do.",
      "# TYPE persistconn_connections gauge",
      'persistconn_connections{state="dialing"} 1',
      'persistconn_connections{state="busy"} 2',
      'persistconn_connections{state="idle"} 3',
      'persistconn_connections{state="handed_over"} 0',
      "# HELP persistconn_waiting Requests that wait for a connection.",
      "# TYPE persistconn_waiting gauge",
      "persistconn_waiting 4",
      "# HELP persistconn_calls_total Round trips begun.",
      "# TYPE persistconn_calls_total counter",
      "persistconn_calls_total 8",
      "# HELP persistconn_retries_total Attempts after the first.",
      "# TYPE persistconn_retries_total counter",
      "persistconn_retries_total 1",
      "# HELP persistconn_pipelined_total Requests sent behind another on its connection.",
      "# TYPE persistconn_pipelined_total counter",
      "persistconn_pipelined_total 5",
      "# HELP persistconn_dials_total Dials that made a connection.",
      "# TYPE persistconn_dials_total counter",
      "persistconn_dials_total 6",
      "# HELP persistconn_dials_failed_total Dials that made none.",
      "# TYPE persistconn_dials_failed_total counter",
      "persistconn_dials_failed_total 0",
      "# HELP persistconn_connections_closed_total Connections closed, by reason.",
      "# TYPE persistconn_connections_closed_total counter",
      'persistconn_connections_closed_total{reason="idle-timeout"} 2',
      'persistconn_connections_closed_total{reason="timeout"} 1',
      "",
    ].join("\n"),
  );
});

test("prometheusText() puts labels of the caller's in front, escaped, and refuses names that are none", () => {
  const lines = prometheusText(STATS, { client: 'a"b\\c\nd' }).split("\n");
  expect(lines[2]).toBe('persistconn_connections{client="a\\"b\\\\c\\nd",state="dialing"} 1');
  expect(() => prometheusText(STATS, { "a-b": "x" })).toThrow(/Cannot write label "a-b"/);
});
