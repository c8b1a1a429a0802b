/**
 * Style and script of the page, as text: the script runs in a browser, where none of this library is. It knows the page's
 * elements and the data of `page.ts`; every text it shows goes in as text.
 */

export const PAGE_STYLE = `
:root { --bg: #fff; --fg: #1b1f24; --dim: #57606a; --line: #d0d7de; --queue: #8c959f; --dns: #8250df; --connect: #bf8700; --tls: #bc4c00; --write: #0969da; --wait: #54aeff; --body: #1a7f37; --bad: #cf222e; --idle: #afb8c1; --tip: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --bg: #0d1117; --fg: #e6edf3; --dim: #9198a1; --line: #30363d; --queue: #6e7681; --dns: #a371f7; --connect: #d29922; --tls: #f0883e; --write: #2f81f7; --wait: #79c0ff; --body: #3fb950; --bad: #f85149; --idle: #484f58; --tip: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--bg); color: var(--fg); font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.2rem; margin: 0; } h2 { font-size: 1rem; } p, nav { margin: .3rem 0; color: var(--dim); }
button { font: inherit; color: var(--fg); background: var(--tip); border: 1px solid var(--line); border-radius: 4px; padding: .1rem .6rem; }
.hint { color: var(--dim); }
#legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .5rem 0; color: var(--dim); }
#legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: 2px; }
#chart { border: 1px solid var(--line); overflow: auto; max-height: 75vh; }
svg { display: block; user-select: none; cursor: grab; }
text { font: 12px ui-monospace, monospace; fill: var(--fg); } text.dim { fill: var(--dim); } text.bad { fill: var(--bad); }
#reasons { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
#reasons:empty::after { content: "nothing was closed, retried or refused"; color: var(--dim); }
#tip { position: fixed; z-index: 1; max-width: 46rem; padding: .5rem .7rem; background: var(--tip); border: 1px solid var(--line); border-radius: 6px; font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; pointer-events: none; }
`;

export const PAGE_SCRIPT = `
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const chart = document.getElementById("chart"), tip = document.getElementById("tip");
const LABELS = 330, ROW = 20, POOL = 64, total = Math.max(data.total, 0.001);
let from = 0, to = total;
const ms = (n) => (n >= 1000 ? (n / 1000).toFixed(2) + " s" : n.toFixed(2) + " ms");
const make = (name, attributes, parent) => {
  const el = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key of Object.keys(attributes)) el.setAttribute(key, attributes[key]);
  if (parent) parent.append(el);
  return el;
};
const explained = (el, text) => { el.addEventListener("pointermove", (e) => show(text, e)); el.addEventListener("pointerleave", () => { tip.hidden = true; }); };
const show = (text, e) => {
  tip.textContent = typeof text === "function" ? text(e) : text;
  tip.hidden = false;
  tip.style.left = Math.max(4, Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = Math.max(4, Math.min(e.clientY + 14, innerHeight - tip.offsetHeight - 8)) + "px";
};
const story = (a) => a.story.map((s) => ms(s.at).padStart(11) + "  " + s.text).join("\\n");
function draw() {
  const width = Math.max(700, chart.clientWidth), plot = width - LABELS - 10;
  const rows = data.attempts.length + data.connections.length + 2;
  const svg = make("svg", { width, height: 30 + POOL + rows * ROW, id: "svg" });
  const x = (at) => LABELS + ((at - from) / (to - from)) * plot;
  const clip = make("clipPath", { id: "plot" }, svg);
  make("rect", { x: LABELS, y: 0, width: plot, height: 40 + POOL + rows * ROW }, clip);
  for (let i = 0; i <= 8; i++) {
    const at = from + ((to - from) * i) / 8;
    make("line", { x1: x(at), x2: x(at), y1: 18, y2: 30 + POOL + rows * ROW, stroke: "var(--line)" }, svg);
    make("text", { x: x(at), y: 13, class: "dim", "text-anchor": i === 8 ? "end" : "middle" }, svg).textContent = ms(at);
  }
  let y = 22;
  const label = (text, cls) => { const el = make("text", { x: 8, y: y + 14, class: cls || "" }, svg); el.textContent = text.length > 44 ? text.slice(0, 43) + "\\u2026" : text; return el; };
  const bars = make("g", { "clip-path": "url(#plot)" }, svg);
  const bar = (a, b, color, text, kind) => { const el = make("rect", { x: x(a), y: y + 3, width: Math.max(1.5, x(b) - x(a)), height: ROW - 7, rx: 2, fill: color, class: "bar", "data-kind": kind }, bars); explained(el, text); };
  label("pool: waiting, busy, idle", "dim");
  const most = data.pool.reduce((m, s) => Math.max(m, s.idle + s.busy + s.waiting), 1);
  data.pool.forEach((step, i) => {
    const end = i + 1 < data.pool.length ? data.pool[i + 1].at : total;
    let base = y + POOL;
    for (const [name, color] of [["idle", "var(--idle)"], ["busy", "var(--write)"], ["waiting", "var(--bad)"]]) {
      const height = (step[name] / most) * POOL;
      base -= height;
      if (height > 0) explained(make("rect", { x: x(step.at), y: base, width: Math.max(0.5, x(end) - x(step.at)), height, fill: color, class: "pool" }, bars), ms(step.at) + ": " + step.waiting + " waiting, " + step.busy + " busy, " + step.idle + " idle");
    }
  });
  y += POOL + 6;
  for (const a of data.attempts) {
    const el = label(a.label + "  " + a.state, a.failed ? "bad" : "");
    explained(el, a.url + "\\n" + a.state + "\\n\\n" + story(a));
    for (const b of a.bars) bar(b.from, b.to, a.failed && b === a.bars[a.bars.length - 1] ? "var(--bad)" : "var(--" + b.kind + ")", a.label + (a.connection === null ? "" : ", connection " + a.connection + (a.reused ? ", reused" : ", new")) + "\\n" + b.kind + ": " + data.kinds[b.kind] + ", " + ms(b.to - b.from) + "\\n\\n" + story(a), b.kind);
    y += ROW;
  }
  y += ROW;
  for (const c of data.connections) {
    const end = c.closed === null ? total : c.closed;
    const close = c.why === null ? "still open" : "closed: " + c.why;
    explained(label("connection " + c.id + "  " + c.peer, "dim"), "connection " + c.id + " to " + c.peer + "\\n" + close);
    const head = "connection " + c.id + " to " + c.peer + "\\n";
    bar(c.dialed, c.opened, "var(--connect)", head + "dialed in " + ms(c.opened - c.dialed), "dial");
    bar(c.opened, end, "var(--write)", head + "open for " + ms(end - c.opened) + ", " + close, "open");
    for (const i of c.idle) bar(i[0], i[1], "var(--idle)", head + "idle for " + ms(i[1] - i[0]) + "\\n" + close, "idle");
    y += ROW;
  }
  chart.replaceChildren(svg);
  svg.dataset.from = from; svg.dataset.to = to;
}
function zoom(factor, at) {
  const span = Math.min(total, Math.max(total / 1e6, (to - from) * factor));
  from = Math.max(0, Math.min(total - span, at - ((at - from) / (to - from)) * span));
  to = from + span;
  draw();
}
const timeAt = (e) => { const box = chart.getBoundingClientRect(); return from + ((e.clientX - box.left - LABELS) / (Math.max(700, chart.clientWidth) - LABELS - 10)) * (to - from); };
chart.addEventListener("wheel", (e) => { if (e.shiftKey) return; e.preventDefault(); tip.hidden = true; zoom(e.deltaY < 0 ? 0.8 : 1.25, Math.max(from, Math.min(to, timeAt(e)))); }, { passive: false });
let held = null;
chart.addEventListener("pointerdown", (e) => { held = timeAt(e); });
addEventListener("pointerup", () => { held = null; });
chart.addEventListener("pointermove", (e) => { if (held === null || e.buttons === 0) return; const by = held - timeAt(e), span = to - from; from = Math.max(0, Math.min(total - span, from + by)); to = from + span; draw(); });
document.getElementById("in").onclick = () => zoom(0.5, (from + to) / 2);
document.getElementById("out").onclick = () => zoom(2, (from + to) / 2);
document.getElementById("all").onclick = () => { from = 0; to = total; draw(); };
addEventListener("resize", draw);
document.getElementById("summary").textContent = data.attempts.length + " attempts over " + data.connections.length + " connections in " + ms(data.total) + (data.dropped > 0 ? "; " + data.dropped + " more were not recorded" : "");
for (const kind of Object.keys(data.kinds)) {
  const item = document.createElement("span"), box = document.createElement("i");
  box.style.background = "var(--" + kind + ")";
  item.append(box, kind + ": " + data.kinds[kind]);
  document.getElementById("legend").append(item);
}
for (const r of data.reasons) { const li = document.createElement("li"); li.textContent = ms(r.at) + "  " + r.text; document.getElementById("reasons").append(li); }
draw();
`;
