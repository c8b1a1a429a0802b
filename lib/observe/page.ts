/**
 * A recording as one page that needs nothing else: the waterfall of all requests over all connections, what the pool held,
 * and the reason of each close and each retry in words. Pure.
 *
 * Its Content-Security-Policy lets it load nothing, and what peers sent gets into it as data alone, never as markup.
 */

import { shownText } from "../secrets.ts";
import { BAR_WORDS, barsOf } from "./bars.ts";
import { PAGE_SCRIPT } from "./page-script.ts";
import { PAGE_STYLE } from "./page-style.ts";
import type { RecordedAttempt, Recording } from "./recording.ts";
import { CLOSE_WORDS, errorWords, explain, subjectOf } from "./words.ts";

/** The page's text. */
export function page(recording: Recording, title = "persistconn"): string {
  const data = JSON.stringify(dataOf(recording)).replace(
    /[<\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const shownTitle = shownText(title).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${shownTitle}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header><h1>${shownTitle}</h1><p id="summary"></p></header>
<nav><button id="in" aria-label="Zoom in" title="Zoom in (+)">+</button><button id="out" aria-label="Zoom out" title="Zoom out (-)">&minus;</button><button id="all" title="All (0)">All</button><span id="range" class="dim" role="status"></span><span id="hint" class="dim">Drag over the time to zoom in; Ctrl and the wheel, or + and &minus;. Arrow keys move from bar to bar.</span></nav>
<ul id="legend"></ul>
<div id="chart">
<div id="head">
<div id="key"><b>Pool</b><span><i style="background: var(--queue)"></i>waiting</span><span><i style="background: var(--busy)"></i>busy</span><span><i style="background: var(--idle)"></i>idle</span></div>
<div id="over" tabindex="0" role="img" aria-label="What the pool held over time: waiting, busy, idle" aria-describedby="tip"><div id="axis" class="axis"></div><svg id="pool" preserveAspectRatio="none"><path id="pool-idle" fill="var(--idle)"/><path id="pool-busy" fill="var(--busy)"/><path id="pool-waiting" fill="var(--queue)"/></svg><div id="mark" hidden></div><div id="brush" hidden></div></div>
</div>
<div id="rows" role="list" aria-describedby="tip"><div id="grid"></div></div>
</div>
<h2>Why</h2>
<ol id="reasons"></ol>
<button id="more" hidden></button>
<div id="tip" role="tooltip" hidden></div>
<script type="application/json" id="data">${data}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

/**
 * What the script draws: times in ms since the first event, each text once (`texts`) and everywhere else its number, since
 * ten thousand requests tell much the same story.
 */
function dataOf(recording: Recording) {
  const { attempts, connections, now, dropped } = recording;
  const begins = [...attempts.map(({ from }) => from), ...connections.map((c) => c.dialedAt ?? c.openedAt)];
  const start = begins.reduce((first, at) => Math.min(first, at), now);
  const since = (at: number) => Math.round((at - start) * 1000) / 1000;
  const known = new Map<string, number>();
  const text = (words: string) => {
    const number = known.get(words) ?? known.size;
    known.set(words, number);
    return number;
  };
  const data = {
    total: since(now),
    dropped,
    kinds: BAR_WORDS,
    attempts: attempts.map((attempt) => [
      text(`${attempt.method} ${pathOf(attempt.url)}`),
      text(attempt.url),
      text(stateOf(attempt)),
      attempt.outcome === "failed" || attempt.outcome === "retried",
      attempt.connection,
      attempt.reused,
      since(attempt.from),
      since(attempt.endAt ?? now),
      barsOf(attempt, now).map(({ kind, from, to }) => [KINDS.indexOf(kind), since(from), since(to)]),
      attempt.events.map((event) => [since(event.at), text(explain(event))]),
    ]),
    connections: connections.map((connection) => [
      connection.id,
      text(connection.peer),
      since(connection.dialedAt ?? connection.openedAt),
      since(connection.openedAt),
      connection.closedAt === null ? null : since(connection.closedAt),
      connection.closeReason === null ? null : text(CLOSE_WORDS[connection.closeReason]),
      connection.idle.map(({ from, to }) => [since(from), since(to ?? now)]),
    ]),
    pool: poolSteps(recording).map(({ at, idle, busy, waiting }) => [since(at), idle, busy, waiting]),
    reasons: reasonsOf(recording).map((reason) => [since(reason.at), text(reason.text)]),
  };
  return { ...data, texts: [...known.keys()] };
}

const KINDS = Object.keys(BAR_WORDS);

function stateOf({ outcome, status, statusText, error }: RecordedAttempt): string {
  if (outcome === "failed" || outcome === "retried") return `${outcome}: ${errorWords(error)}`;
  return status === null ? outcome : `${status} ${statusText}`.trimEnd();
}

function pathOf(url: string): string {
  const path = /^[a-z]+:\/\/[^/]*(\/.*)$/i.exec(url)?.[1];
  return path ?? url;
}

/** What the pool held, at each of its changes. */
function poolSteps({
  attempts,
  connections,
}: Recording): { at: number; idle: number; busy: number; waiting: number }[] {
  const changes: { at: number; idle: number; busy: number; waiting: number }[] = [];
  const add = (at: number, change: { idle?: number; busy?: number; waiting?: number }) =>
    changes.push({ at, idle: 0, busy: 0, waiting: 0, ...change });
  for (const { from, assignedAt, endAt } of attempts) {
    add(from, { waiting: 1 });
    const waited = assignedAt ?? endAt;
    if (waited !== null) add(waited, { waiting: -1 });
    if (assignedAt !== null) add(assignedAt, { busy: 1 });
    if (assignedAt !== null && endAt !== null) add(endAt, { busy: -1 });
  }
  for (const { from, to } of connections.flatMap(({ idle }) => idle)) {
    add(from, { idle: 1 });
    if (to !== null) add(to, { idle: -1 });
  }
  changes.sort((a, b) => a.at - b.at);
  const steps: typeof changes = [];
  const held = { idle: 0, busy: 0, waiting: 0 };
  for (const { at, idle, busy, waiting } of changes) {
    held.idle += idle;
    held.busy += busy;
    held.waiting += waiting;
    if (steps.at(-1)?.at === at) steps.pop();
    steps.push({ at, ...held });
  }
  return steps;
}

const TELLING: ReadonlySet<string> = new Set(["retry", "retry-refused", "redirect", "call-failed", "body-failed"]);

/** Each close, each retry, each failure, in words and in order. What the end of the transport closes is no news. */
export function reasonsOf({ attempts, connections }: Recording): { at: number; text: string }[] {
  const reasons: { at: number; text: string }[] = [];
  for (const { id, closedAt, closeReason } of connections) {
    if (closedAt === null || closeReason === null || closeReason === "transport-closed") continue;
    reasons.push({ at: closedAt, text: `connection ${id} is closed: ${CLOSE_WORDS[closeReason]}` });
  }
  for (const { attempt, events } of attempts) {
    for (const event of events) {
      // A retry stands at the end of one attempt and at the beginning of the next.
      if (!TELLING.has(event.type) || (event.type === "retry" && event.attempt < attempt)) continue;
      reasons.push({ at: event.at, text: `${subjectOf(event)} ${explain(event)}` });
    }
  }
  return reasons.sort((a, b) => a.at - b.at);
}
