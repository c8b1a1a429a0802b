/**
 * The page of the live view: it reads the stream beside it and shows what changed, element by element, so that what the
 * reader points at stays where it is. Its script runs in a browser, where none of this library is.
 *
 * Never: takes a text of the stream as anything but text; asks for anything but its own server.
 */

import type { CloseReason } from "../../errors.ts";
import { COMMON_SCRIPT, COMMON_STYLE } from "../page-common.ts";
import { CLOSE_WORDS } from "../words.ts";

/** @param nonce for its one style and its one script, new with each answer */
export function inspectorPage(nonce: string): string {
  const words = JSON.stringify(CLOSE_WORDS satisfies Record<CloseReason, string>).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>persistconn inspector</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<header><h1>persistconn inspector</h1><p id="link" role="status" data-state="waiting"><i></i><span>waiting for the program</span></p></header>
<main id="all"></main>
<p id="left" hidden></p>
<div id="tip" role="tooltip" hidden></div>
<script nonce="${nonce}">const WORDS = ${words};${SCRIPT}</script>
</body>
</html>
`;
}

const STYLE = `${COMMON_STYLE}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; }
#link i { display: inline-block; width: 9px; height: 9px; margin-right: 7px; border-radius: 50%; background: var(--queue); }
#link[data-state=live] i { background: var(--body); } #link[data-state=lost] i { background: var(--bad); }
section { margin-top: 18px; padding-top: 2px; border-top: 1px solid var(--line); }
section > h2 { margin-top: 12px; }
h3 { margin: 20px 0 4px; font-size: 14px; font-weight: 600; } h3 .dim { font-weight: 400; margin-left: 6px; }
dl { display: flex; flex-wrap: wrap; gap: 8px; margin: 8px 0 0; }
dl div { min-width: 92px; padding: 6px 12px 7px; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
dt { font-size: 12px; color: var(--dim); } dd { margin: 0; font-size: 19px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.list { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.row { display: grid; gap: 2px 16px; padding: 4px 12px; border-top: 1px solid var(--grid); line-height: 1.6; }
.row:first-child { border-top: 0; }
.row:hover, .row:focus-visible { background: var(--hover); }
.row > span { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.n { text-align: right; }
.pools .row { grid-template-columns: minmax(160px, 2fr) minmax(0, 3fr) minmax(250px, auto); }
.meter { display: flex; height: 12px; gap: 1px; border-radius: 3px; overflow: hidden; align-self: center; }
.meter i { min-width: 0; } .meter .busy { background: var(--busy); } .meter .idle { background: var(--idle); } .meter .dialing { background: var(--connect); } .meter .waiting { background: var(--queue); }
.connections .row { grid-template-columns: 52px 84px minmax(0, 5fr) minmax(0, 4fr) 84px; }
.waiters .row { grid-template-columns: 84px minmax(0, 1fr) 84px; }
.calls .row { grid-template-columns: 84px minmax(0, 5fr) minmax(0, 4fr) 130px 84px; cursor: default; }
.closes .row { grid-template-columns: 60px minmax(0, 1fr); } .closes .row > span { white-space: normal; }
.tag { color: var(--fg); } .tag::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-right: 6px; border-radius: 2px; background: var(--queue); }
.tag.busy::before { background: var(--busy); } .tag.idle::before { background: var(--idle); } .tag.dialing::before { background: var(--connect); } .tag.failed::before { background: var(--bad); } .tag.answered::before { background: var(--body); } .tag.pending::before { background: var(--busy); }
.list:empty::after { content: attr(data-none); display: block; padding: 6px 12px; color: var(--dim); font-size: 13px; }
@media (max-width: 720px) {
  dl div { min-width: 0; flex: 1 1 76px; padding: 5px 9px; } dd { font-size: 17px; }
  .pools .row, .waiters .row { grid-template-columns: 1fr auto; } .pools .meter { order: 2; grid-column: 1 / -1; } .pools .counts { order: 3; grid-column: 1 / -1; text-align: left; } .waiters .row > :nth-child(2) { order: 3; grid-column: 1 / -1; color: var(--dim); }
  .connections .row { grid-template-columns: 40px 70px 1fr 70px; } .connections .line, .connections .asks { grid-column: 1 / -1; order: 5; white-space: normal; overflow-wrap: anywhere; } .connections .row > .asks:empty { display: none; } .connections .ms { grid-column: 4; }
  .calls .row { grid-template-columns: 70px minmax(0, 1fr) 70px; } .calls .what { grid-column: 1 / -1; order: 5; white-space: normal; overflow-wrap: anywhere; } .calls .conn { display: none; }
  .row > span { white-space: nowrap; }
}
`;

const SCRIPT = `${COMMON_SCRIPT}
const link = byId("link"), main = byId("all");
const say = (state, text) => { link.dataset.state = state; link.lastChild.textContent = text; };
const set = (el, text) => { if (el.textContent !== text) el.textContent = text; };

// Rows by what they are of: those that stay are changed in place, so that nothing jumps under the pointer.
function rows(list, items, keyOf, create, fill) {
  const known = list.known || (list.known = new Map()), seen = new Set();
  let at = list.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    seen.add(key);
    let el = known.get(key);
    if (!el) { el = create(item); el.dataset.key = key; known.set(key, el); }
    if (el === at) at = at.nextSibling;
    else list.insertBefore(el, at);
    fill(el, item);
  }
  for (const [key, el] of known) if (!seen.has(key)) { known.delete(key); el.remove(); }
}
const cells = (...names) => () => { const row = make("div", "row"); for (const name of names) row.append(make("span", name)); return row; };
const put = (row, ...texts) => texts.forEach((text, i) => set(row.children[i], text));

const shown = new Map();
function section(id) {
  const el = make("section"), known = { el, calls: new Map() };
  const list = (title, name, none) => {
    const head = make("h3", "", title), count = make("span", "dim"), box = make("div", "list " + name);
    head.append(count);
    box.dataset.none = none;
    el.append(head, box);
    return { box, count };
  };
  known.title = make("h2");
  known.figures = make("dl");
  el.append(known.title, known.figures);
  known.pools = list("Pools", "pools", "no connection, and nobody waits for one");
  known.connections = list("Connections", "connections", "none");
  known.waiters = list("Waiting for a connection", "waiters", "nobody");
  known.recent = list("Recent exchanges", "calls", "none yet");
  known.closes = list("Closed connections, by reason", "closes", "none");
  const box = known.recent.box;
  box.addEventListener("pointerover", (e) => { const row = e.target.closest(".row"); if (row) tell(id, known, row, { x: e.clientX, top: e.clientY, bottom: e.clientY }); });
  box.addEventListener("pointerleave", quiet);
  box.addEventListener("focusin", (e) => { if (!e.target.matches(":focus-visible")) return; const at = e.target.getBoundingClientRect(); tell(id, known, e.target, { x: at.left + 80, top: at.top, bottom: at.bottom }); });
  box.addEventListener("focusout", quiet);
  // Held, or held no more: at once, and not when something changes.
  for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) box.addEventListener(name, () => requestAnimationFrame(() => { if (known.told) fill(known, known.told); }));
  box.addEventListener("keydown", (e) => {
    const to = e.key === "ArrowDown" ? e.target.nextElementSibling : e.key === "ArrowUp" ? e.target.previousElementSibling : null;
    if (e.key === "Escape") quiet();
    if (!to) return;
    e.preventDefault();
    to.focus();
  });
  return known;
}

// The story of one call is asked for when somebody looks at it.
let asked = 0;
const quiet = () => { asked++; hush(); };
function tell(id, known, row, at) {
  const call = Number(row.dataset.key), mine = ++asked, about = known.calls.get(call);
  if (!about || link.dataset.state !== "live") return;
  fetch("calls/" + id + "/" + call).then((r) => r.json()).then((story) => {
    if (mine !== asked) return;
    if (story === null) return explain([about.method + " " + about.url, [about.state, "its story is not kept any more"]], at);
    const steps = story.lines.map(({ at, text }) => [ms(at), text]);
    explain([about.method + " " + about.url, [about.state, ...(story.untold > 0 ? [story.untold + " more events were not kept"] : [])], steps], at);
  }, () => {});
}

const FIGURES = [["busy", "busy"], ["idle", "idle"], ["dialing", "dialing"], ["waiting", "waiting"], ["calls", "calls"], ["dialed", "dialed"], ["dialsFailed", "dials failed"], ["retries", "retries"], ["handedOver", "handed over"]];
const counted = (n, more) => (more > 0 ? n + " shown, " + more + " more" : String(n));
function fill(known, told) {
  const { name, view, calls, rows: changed, alone } = told;
  known.told = told;
  known.title.hidden = alone;
  set(known.title, name);
  rows(known.figures, FIGURES, ([key]) => key, ([, word]) => { const box = make("div"); box.append(make("dt", "", word), make("dd")); return box; }, (box, [key]) => set(box.lastChild, String(view.figures[key])));

  const { pools, connections, waiters, recent, closes } = known;
  set(pools.count, counted(view.pools.length, view.more.pools));
  rows(pools.box, view.pools, (p) => p.key, () => {
    const row = make("div", "row"), meter = make("span", "meter");
    for (const part of ["busy", "idle", "dialing", "waiting"]) meter.append(make("i", part));
    row.append(make("span"), meter, make("span", "counts n"));
    return row;
  }, (row, p) => {
    set(row.children[0], way(p.key));
    [p.busy, p.idle, p.dialing, p.waiting].forEach((n, i) => { row.children[1].children[i].style.flexGrow = n; });
    set(row.children[2], ["busy", "idle", "dialing", "waiting"].filter((part) => p[part] > 0).map((part) => p[part] + " " + part).join(", "));
  });

  set(connections.count, counted(view.connections.length, view.more.connections));
  rows(connections.box, view.connections, (c) => c.id, cells("", "tag", "line", "asks dim", "ms n dim"), (row, c) => {
    put(row, "#" + c.id, c.state, c.line, c.request === null ? "" : c.request, since(c.ms));
    row.children[1].className = "tag " + c.state;
  });

  set(waiters.count, counted(view.waiters.length, view.more.waiters));
  rows(waiters.box, view.waiters, (w) => w.call, cells("", "", "n dim"), (row, w) => put(row, "call " + w.call, way(w.key), since(w.ms)));

  for (const row of changed) known.calls.set(row.call, row);
  const kept = new Set(calls);
  // While somebody looks at the list, rows change in place, and neither come nor go.
  const drawn = recent.box.known || new Map(), held = drawn.size > 0 && recent.box.matches(":hover, :focus-within");
  for (const call of known.calls.keys()) if (!kept.has(call) && !(held && drawn.has(call))) known.calls.delete(call);
  const last = [...known.calls.values()].filter((c) => !held || drawn.has(c.call)).sort((a, b) => b.call - a.call);
  set(recent.count, held ? "held while you look" : last.length === 0 ? "" : "the last " + last.length);
  const create = () => { const row = cells("", "what", "tag state", "conn dim", "n dim")(); row.tabIndex = 0; return row; };
  rows(recent.box, last, (c) => c.call, create, (row, c) => {
    put(row, "call " + c.call, c.method + " " + c.url, c.state, c.connection === null ? "" : "#" + c.connection + (c.reused ? " reused" : " new") + (c.attempt > 1 ? ", attempt " + c.attempt : ""), ms(c.ms));
    row.children[2].className = "tag state " + (c.outcome === "pending" && c.connection === null ? "waiting" : c.outcome);
  });

  const reasons = Object.entries(view.closed).sort((a, b) => b[1] - a[1]);
  set(closes.count, String(reasons.reduce((sum, [, n]) => sum + n, 0)));
  rows(closes.box, reasons, ([reason]) => reason, cells("n", ""), (row, [reason, n]) => put(row, n + " \\u00d7", WORDS[reason] || reason));
}
// A key of the pool as a way: |http|a.example:80, or PROXY|http| and the like.
const way = (key) => {
  const [first = "", scheme = "", host = "", ...path] = key.split("|");
  if (scheme === "") return key;
  const through = first === "" ? "" : first.startsWith("tls-") ? " with TLS options " + first.slice(4) : " through " + first;
  return scheme + "://" + (host === "" ? "any host" : host) + (path.length > 0 ? " at " + path.join("|") : "") + through;
};
const since = (n) => (n < 1000 ? Math.round(n) + " ms" : n < 60000 ? (n / 1000).toFixed(1) + " s" : Math.floor(n / 60000) + " min");

function show(told) {
  for (const t of told.transports) {
    if (!shown.has(t.id)) { shown.set(t.id, section(t.id)); main.append(shown.get(t.id).el); }
    fill(shown.get(t.id), { ...t, alone: told.transports.length === 1 });
  }
  for (const [id, known] of shown) if (!told.transports.some((t) => t.id === id)) { shown.delete(id); known.el.remove(); }
  byId("left").hidden = told.left === 0;
  byId("left").textContent = told.left + " more transports are not shown";
  main.dataset.told = Number(main.dataset.told || 0) + 1;
}
const stream = new EventSource("events");
let lost = 0;
stream.onopen = () => { lost = 0; say("live", "live"); };
stream.onmessage = (e) => show(JSON.parse(e.data));
const ended = () => { stream.close(); say("lost", "the program has closed this page: what stands here was its last word"); };
stream.addEventListener("end", ended);
stream.onerror = () => { if (++lost >= 3) ended(); else say("lost", "no connection to the program; trying again"); };
`;
