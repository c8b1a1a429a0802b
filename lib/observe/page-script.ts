/**
 * The script of the page, as text: it runs in a browser, where none of this library is. It knows the page's elements and
 * the data of `page.ts`, and only draws the rows that are in sight, so that ten thousand cost what forty do.
 *
 * Never: takes a text of the data as anything but text; asks the network for anything.
 */

import { COMMON_SCRIPT } from "./page-common.ts";

export const PAGE_SCRIPT = `${COMMON_SCRIPT}
const data = JSON.parse(byId("data").textContent);
const { texts, kinds, pool } = data;
const chart = byId("chart"), rows = byId("rows"), over = byId("over"), grid = byId("grid"), axis = byId("axis"), mark = byId("mark"), brush = byId("brush");
const total = Math.max(data.total, 0.001), shortest = Math.max(total / 1e6, 1e-4);
let from = 0, to = total;

// ---- what there is: a row for each attempt, then one for each connection

const KINDS = Object.keys(kinds);
const colorOf = (kind) => "var(--" + (kind === "open" ? "busy" : kind === "dial" ? "connect" : kind) + ")";
const all = [];
for (const [label, url, state, failed, connection, reused, begin, end, bars, story] of data.attempts) {
  const where = connection === null ? "" : "connection " + connection + (reused ? ", reused" : ", new");
  all.push({
    title: texts[label], state: texts[state] + (connection === null ? "" : "  #" + connection), failed, begin, end,
    told: [texts[url], texts[state] + (where === "" ? "" : " over " + where)],
    bars: bars.map(([kind, a, b], i) => ({ kind: KINDS[kind], bad: failed && i === bars.length - 1, from: a, to: b, text: KINDS[kind] + ", " + ms(b - a) + ": " + kinds[KINDS[kind]] })),
    steps: () => story.map(([at, text]) => [ms(at), texts[text]]),
  });
}
for (const [id, peer, dialed, opened, closed, why, idle] of data.connections) {
  const end = closed === null ? total : closed, told = why === null ? "open at the end" : "closed: " + texts[why];
  const bars = [];
  if (opened > dialed) bars.push({ kind: "dial", from: dialed, to: opened, text: "dialed in " + ms(opened - dialed) });
  let at = opened;
  for (const [a, b] of idle.concat([[end, end]])) {
    if (a > at) bars.push({ kind: "open", from: at, to: a, text: "in use or on its way for " + ms(a - at) });
    if (b > a) bars.push({ kind: "idle", from: a, to: b, text: "idle in the pool for " + ms(b - a) });
    at = b;
  }
  all.push({ lane: true, title: "connection " + id, state: texts[peer], failed: false, begin: dialed, end, told: ["to " + texts[peer], "open for " + ms(end - opened) + "; " + told], bars, steps: () => [] });
}

// ---- which rows the time in view meets; titles stand between

let shown = [];
function choose() {
  const meets = (r) => r.begin <= to && r.end >= from;
  const attempts = [], lanes = [];
  all.forEach((r, i) => { if (meets(r)) (r.lane ? lanes : attempts).push(i); });
  shown = [{ heading: "Requests: " + counted(attempts.length, data.attempts.length) }, ...attempts, { heading: "Connections: " + counted(lanes.length, data.connections.length) }, ...lanes];
}
const counted = (n, of) => (n === of ? String(n) : n + " of " + of);

// ---- drawing: rows in sight only

const drawn = new Map();
let active = -1, activeBar = -1, rowHeight = 22;
function drawRows() {
  rowHeight = parseFloat(getComputedStyle(chart).getPropertyValue("--row"));
  rows.style.height = shown.length * rowHeight + 8 + "px";
  const seen = chart.clientHeight - byId("head").offsetHeight;
  const first = Math.max(0, Math.floor(chart.scrollTop / rowHeight) - 4), last = Math.min(shown.length, Math.ceil((chart.scrollTop + seen) / rowHeight) + 4);
  const keep = new Set();
  const place = (at) => {
    const item = shown[at], key = typeof item === "number" ? item : item.heading;
    keep.add(key);
    let el = drawn.get(key);
    if (!el) {
      el = typeof item === "number" ? rowOf(item) : make("div", "row title", item.heading);
      drawn.set(key, el);
      rows.append(el);
    }
    el.style.top = at * rowHeight + "px";
    if (typeof item === "number") drawBars(el, item);
  };
  for (let at = first; at < last; at++) place(at);
  const held = shown.indexOf(active);
  if (held >= 0 && (held < first || held >= last)) place(held); // what has the focus must not vanish
  for (const [key, el] of drawn) if (!keep.has(key)) { drawn.delete(key); el.remove(); }
  const tabbable = held >= 0 ? active : shown.find((item) => typeof item === "number");
  for (const [key, el] of drawn) if (typeof key === "number") el.tabIndex = key === tabbable ? 0 : -1;
}
function rowOf(index) {
  const r = all[index], el = make("div", "row" + (r.failed ? " failed" : "") + (r.lane ? " lane" : "")), name = make("div", "name");
  name.append(make("span", "what", r.title), make("span", "state", r.state));
  el.append(name, make("div", "track"));
  el.dataset.row = index;
  el.setAttribute("role", "listitem");
  el.setAttribute("aria-label", r.title + ", " + r.told.join(", ") + ", " + ms(r.end - r.begin));
  return el;
}
function drawBars(el, index) {
  const span = to - from, scale = 100 / span, pixel = span / Math.max(1, over.clientWidth), track = el.lastChild;
  track.replaceChildren(...merged(all[index].bars, 3 * pixel, 8 * pixel).map(({ kind, bad, from: a, to: z, first, last }) => {
    const on = index === active && activeBar >= first && activeBar <= last;
    const bar = make("i", "bar" + (kind === "idle" ? " idle" : "") + (on ? " on" : ""));
    // Cut to what is in view: at a deep zoom a length in pixels would be beyond what a browser can lay out.
    const begin = Math.max(from, a), end = Math.min(to, z);
    bar.style.left = (begin - from) * scale + "%";
    bar.style.width = (end - begin) * scale + "%";
    bar.style.background = bad ? "var(--bad)" : colorOf(kind);
    bar.dataset.bar = first;
    bar.dataset.last = last;
    bar.dataset.kind = kind;
    return bar;
  }));
}
// Bars in view; of a connection's, runs of such as are too short to tell apart are one, of the kind that most of it is.
function merged(bars, short, long) {
  const found = [];
  bars.forEach((b, i) => {
    if (b.to < from || b.from > to) return;
    const tiny = bars.length > 40 && b.to - b.from < short, run = found[found.length - 1];
    if (!tiny || !run || !run.tiny || b.to - run.from > long) return void found.push({ ...b, tiny, first: i, last: i, sums: { [b.kind]: b.to - b.from } });
    run.to = b.to;
    run.last = i;
    run.sums[b.kind] = (run.sums[b.kind] || 0) + b.to - b.from;
    run.kind = Object.keys(run.sums).reduce((most, kind) => (run.sums[kind] > run.sums[most] ? kind : most));
  });
  return found;
}

// ---- the time above, and the pool under it

function stepOf(span, pixels) {
  const least = span / Math.max(1, pixels / 96), power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least);
}
function drawTime() {
  const wide = over.clientWidth, step = stepOf(to - from, wide), labels = [], lines = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) {
    const at = ((n * step - from) / (to - from)) * 100;
    const line = make("i"), label = make("span", "", n === 0 ? "0" : ms(n * step, step));
    line.style.left = label.style.left = at + "%";
    lines.push(line);
    if ((1 - at / 100) * wide > 70) labels.push(label);
  }
  axis.replaceChildren(...labels);
  grid.replaceChildren(...lines);
  byId("range").textContent = from === 0 && to === total ? "all of " + ms(total) : ms(from, step / 10) + " to " + ms(to, step / 10);
}
const most = pool.reduce((m, s) => Math.max(m, s[1] + s[2] + s[3]), 1);
// The last step at or before a time.
function stepAt(at) {
  let low = 0, high = pool.length;
  while (low < high) { const mid = (low + high) >> 1; if (pool[mid][0] <= at) low = mid + 1; else high = mid; }
  return low - 1;
}
function drawPool() {
  const wide = Math.max(1, Math.floor(over.clientWidth)), high = 64, paths = ["", "", ""];
  // For each column of pixels the fullest moment in it: what is shorter than a column shows all the same.
  let at = Math.max(0, stepAt(from)), runs = [0, 0, 0], before = [0, 0, 0];
  const flush = (i, x) => { if (before[i] !== undefined && spans[i] && spans[i][1] > spans[i][0]) paths[i] += "M" + runs[i] + " " + spans[i][0] + "V" + spans[i][1] + "H" + x + "V" + spans[i][0] + "Z"; };
  const spans = [null, null, null];
  for (let x = 0; x <= wide; x++) {
    let best = null;
    if (x < wide && pool.length > 0) {
      const until = from + ((x + 1) / wide) * (to - from), start = from + (x / wide) * (to - from);
      for (; ; at++) {
        const s = pool[at];
        if (s[0] < until && (at + 1 >= pool.length || pool[at + 1][0] > start) && (best === null || s[1] + s[2] + s[3] > best[1] + best[2] + best[3])) best = s;
        if (at + 1 >= pool.length || pool[at + 1][0] >= until) break;
      }
    }
    let base = high;
    [1, 2, 3].forEach((field, i) => {
      const height = best === null ? 0 : (best[field] / most) * (high - 4), span = [base - height, base];
      base -= height;
      if (spans[i] === null || span[0] !== spans[i][0] || span[1] !== spans[i][1]) { flush(i, x); spans[i] = span; runs[i] = x; }
    });
  }
  spans.forEach((span, i) => flush(i, wide));
  const svg = byId("pool");
  svg.setAttribute("viewBox", "0 0 " + wide + " " + high);
  ["idle", "busy", "waiting"].forEach((name, i) => byId("pool-" + name).setAttribute("d", paths[i]));
}
const poolTold = (at) => {
  const s = pool[stepAt(at)];
  return ["The pool at " + ms(at), s === undefined ? ["nothing yet"] : [s[3] + " waiting for a connection", s[2] + " busy", s[1] + " idle"]];
};

function draw() {
  choose();
  drawTime();
  drawPool();
  drawRows();
  chart.dataset.from = from;
  chart.dataset.to = to;
  chart.dataset.shown = shown.length - 2;
}
// Once a frame, however often it is asked for.
let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}

// ---- zoom

function view(a, b) {
  const span = Math.min(total, Math.max(shortest, b - a));
  const start = Math.max(0, Math.min(total - span, a));
  if (start === from && start + span === to) return;
  from = start;
  to = span === total ? total : start + span;
  hush();
  redraw();
}
const zoom = (factor, at) => view(at - (at - from) * factor, at + (to - at) * factor);
const middle = () => {
  const bar = all[active] && all[active].bars[activeBar];
  const at = bar ? (bar.from + bar.to) / 2 : all[active] ? (all[active].begin + all[active].end) / 2 : (from + to) / 2;
  return at >= from && at <= to ? at : (from + to) / 2;
};
const timeAt = (x) => { const box = over.getBoundingClientRect(); return from + Math.max(0, Math.min(1, (x - box.left) / box.width)) * (to - from); };
byId("in").onclick = () => zoom(0.5, middle());
byId("out").onclick = () => zoom(2, middle());
byId("all").onclick = () => view(0, total);
chart.addEventListener("wheel", (e) => {
  if (!e.ctrlKey && !e.metaKey && !e.altKey && !over.contains(e.target)) return; // it scrolls
  e.preventDefault();
  zoom(2 ** (Math.max(-100, Math.min(100, e.deltaY)) / 200), timeAt(e.clientX));
}, { passive: false });

// A drag over the time chooses what to see of it; one over the rows moves it along.
let drag = null;
chart.addEventListener("pointerdown", (e) => {
  if (e.button !== 0) return;
  drag = over.contains(e.target) ? { brush: e.clientX } : { x: e.clientX, from, to };
});
addEventListener("pointermove", (e) => {
  if (drag === null || e.buttons === 0) return;
  const box = over.getBoundingClientRect();
  if (drag.brush !== undefined) {
    const a = Math.max(box.left, Math.min(drag.brush, e.clientX)), b = Math.min(box.right, Math.max(drag.brush, e.clientX));
    brush.hidden = false;
    brush.style.left = a - box.left + "px";
    brush.style.width = Math.max(0, b - a) + "px";
  } else if (Math.abs(e.clientX - drag.x) > 3) {
    const by = ((drag.x - e.clientX) / box.width) * (drag.to - drag.from);
    view(drag.from + by, drag.to + by);
  }
});
addEventListener("pointerup", (e) => {
  if (drag !== null && drag.brush !== undefined && Math.abs(e.clientX - drag.brush) > 4) {
    const [a, b] = [timeAt(drag.brush), timeAt(e.clientX)].sort((x, y) => x - y);
    view(a, b);
  }
  brush.hidden = true;
  drag = null;
});
chart.addEventListener("dblclick", (e) => {
  const r = over.contains(e.target) ? null : all[rowAt(e.target)];
  if (over.contains(e.target)) view(0, total);
  else if (r) around(r);
});
const around = (r) => { const margin = Math.max(shortest, (r.end - r.begin) * 0.1); view(r.begin - margin, r.end + margin); };

// ---- hover

const rowAt = (el) => { const row = el.closest ? el.closest(".row") : null; return row && row.dataset.row !== undefined ? Number(row.dataset.row) : -1; };
const toldOf = (index, first, last) => {
  const r = all[index], bars = r.bars.slice(first, last + 1);
  const lines = bars.length <= 8 ? bars.map((b) => b.text) : [...bars.slice(0, 7).map((b) => b.text), "and " + (bars.length - 7) + " more: zoom in"];
  return [r.title, [...r.told, ...lines, "from " + ms(r.begin) + " to " + ms(r.end) + ", " + ms(r.end - r.begin) + " in all"], r.steps()];
};
chart.addEventListener("pointermove", (e) => {
  if (drag !== null && e.buttons !== 0) return;
  const inTime = over.contains(e.target), index = inTime ? -1 : rowAt(e.target), at = { x: e.clientX, top: e.clientY, bottom: e.clientY };
  mark.hidden = !inTime;
  if (inTime) {
    mark.style.left = e.clientX - over.getBoundingClientRect().left + "px";
    explain(poolTold(timeAt(e.clientX)), at);
  } else if (index >= 0) explain(toldOf(index, ...(e.target.dataset.bar ? [Number(e.target.dataset.bar), Number(e.target.dataset.last)] : [0, -1])), at);
  else hush();
});
chart.addEventListener("pointerleave", () => { hush(); mark.hidden = true; });
chart.addEventListener("scroll", () => { hush(); drawRows(); }, { passive: true });

// ---- keyboard

function focusOn(index, bar) {
  const at = shown.indexOf(index);
  if (at < 0) return;
  active = index;
  activeBar = bar;
  const top = at * rowHeight, seen = chart.clientHeight - byId("head").offsetHeight;
  if (top < chart.scrollTop) chart.scrollTop = Math.max(0, top - rowHeight);
  else if (top + rowHeight > chart.scrollTop + seen) chart.scrollTop = top + 2 * rowHeight - seen;
  drawRows();
  const el = drawn.get(index);
  el.focus({ preventScroll: true });
  tell();
}
function tell() {
  const el = drawn.get(active);
  if (!el) return;
  const bar = el.querySelector(".bar.on"), box = (bar || el).getBoundingClientRect(), row = el.getBoundingClientRect();
  explain(activeBar < 0 ? toldOf(active, 0, -1) : toldOf(active, activeBar, activeBar), { x: bar ? box.left : over.getBoundingClientRect().left, top: row.top, bottom: row.bottom });
}
rows.addEventListener("focusin", (e) => {
  const index = rowAt(e.target);
  if (index < 0 || index === active) return;
  active = index;
  activeBar = -1;
  if (e.target.matches(":focus-visible")) tell();
});
rows.addEventListener("focusout", () => hush());
const next = (by) => {
  let at = Math.max(0, Math.min(shown.length - 1, shown.indexOf(active) + by));
  for (; at >= 0 && at < shown.length; at += Math.sign(by)) if (typeof shown[at] === "number") return focusOn(shown[at], -1);
};
const KEYS = {
  ArrowDown: () => next(1), ArrowUp: () => next(-1), PageDown: () => next(20), PageUp: () => next(-20),
  Home: () => focusOn(shown.find((item) => typeof item === "number"), -1), End: () => focusOn(shown.findLast((item) => typeof item === "number"), -1),
  ArrowRight: () => focusOn(active, Math.min(all[active].bars.length - 1, activeBar + 1)), ArrowLeft: () => focusOn(active, Math.max(-1, activeBar - 1)),
  Enter: () => around(all[active]), Escape: hush,
};
rows.addEventListener("keydown", (e) => {
  const move = KEYS[e.key];
  if (!move || e.ctrlKey || e.metaKey || e.altKey || !all[active]) return;
  e.preventDefault();
  move();
});
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "+" || e.key === "=") zoom(0.5, middle());
  else if (e.key === "-") zoom(2, middle());
  else if (e.key === "0") view(0, total);
});
over.addEventListener("keydown", (e) => {
  const by = { ArrowLeft: -0.1, ArrowRight: 0.1 }[e.key];
  if (by === undefined) return;
  e.preventDefault();
  view(from + by * (to - from), to + by * (to - from));
});
over.addEventListener("focus", () => { const box = over.getBoundingClientRect(); if (over.matches(":focus-visible")) explain(poolTold((from + to) / 2), { x: box.left, top: box.top, bottom: box.bottom }); });
over.addEventListener("blur", hush);

// ---- the words around

byId("summary").textContent = data.attempts.length + " attempts over " + data.connections.length + " connections in " + ms(data.total) + (data.dropped > 0 ? "; " + data.dropped + " more were not recorded" : "");
for (const kind of KINDS) {
  const item = make("li"), box = make("i");
  box.style.background = colorOf(kind);
  item.append(box, make("span", "", kind + ": " + kinds[kind]));
  byId("legend").append(item);
}
const FIRST = 50;
const reason = ([at, text]) => { const li = make("li"); li.append(make("span", "", ms(at)), make("span", "", texts[text])); byId("reasons").append(li); };
data.reasons.slice(0, FIRST).forEach(reason);
if (data.reasons.length > FIRST) {
  byId("more").hidden = false;
  byId("more").textContent = "Show all " + data.reasons.length;
  byId("more").onclick = () => { byId("more").hidden = true; data.reasons.slice(FIRST).forEach(reason); };
}
new ResizeObserver(redraw).observe(chart);
draw();
`;
