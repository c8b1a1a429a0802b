/**
 * What our pages share, as text: the colours by day and by night, and the tip that explains what the pointer or the focus
 * is on. Bars stand out from the ground by 3:1 at least and text by 4.5:1 (WCAG 2.2 §1.4.3, §1.4.11); a spec measures them
 * in a browser.
 *
 * Apart from the page with the waterfall, so that who bundles the live view does not carry that.
 * Never: names a font, an image or a sheet that is not there already: a page loads nothing.
 */

/** The colours, what every page has, and the tip that explains what the pointer or the focus is on. */
export const COMMON_STYLE = `
:root { color-scheme: light dark; --bg: #fff; --panel: #f4f6f8; --fg: #1b1f24; --dim: #57606a; --line: #d8dee4; --grid: #eaeef2; --focus: #0a4fa8; --hover: #f1f5fa;
  --queue: #808994; --dns: #8250df; --connect: #b58105; --tls: #bc4c00; --write: #0a4fa8; --wait: #4287e0; --body: #1f883d; --bad: #c01c28; --idle: #2e9390; --busy: #4287e0; }
@media (prefers-color-scheme: dark) { :root { --bg: #0f141a; --panel: #1a212a; --fg: #e6edf3; --dim: #9aa4af; --line: #303a45; --grid: #1d2530; --focus: #79b8ff; --hover: #18202a;
  --queue: #7d8590; --dns: #a98bf5; --connect: #d29922; --tls: #f0883e; --write: #2f7bf0; --wait: #79b8ff; --body: #3fb950; --bad: #ff6a61; --idle: #3fb8b0; --busy: #79b8ff; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; padding: 20px clamp(10px, 2vw, 28px) 40px; max-width: 1800px; background: var(--bg); color: var(--fg); font: 14px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 19px; line-height: 1.3; font-weight: 600; overflow-wrap: anywhere; }
h2 { margin: 26px 0 8px; font-size: 15px; font-weight: 600; }
p { margin: 4px 0; color: var(--dim); }
button { font: inherit; min-width: 34px; padding: 2px 10px; color: var(--fg); background: var(--panel); border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
button:hover { background: var(--hover); }
:focus-visible { outline: 2px solid var(--focus); outline-offset: -2px; }
button:focus-visible { outline-offset: 1px; }
.mono, #tip, .row, .axis { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12px; font-variant-numeric: tabular-nums; }
.dim { color: var(--dim); } .bad { color: var(--bad); }
#tip { position: fixed; z-index: 9; left: 0; top: 0; max-width: min(640px, calc(100vw - 16px)); max-height: 64vh; overflow: hidden; padding: 8px 12px 10px; color: var(--fg); background: var(--panel); border: 1px solid var(--line); border-radius: 8px; box-shadow: 0 6px 24px rgb(0 0 0 / .18); pointer-events: none; line-height: 1.5; overflow-wrap: anywhere; }
#tip b { display: block; font-weight: 600; }
#tip ol { margin: 6px 0 0; padding: 6px 0 0; list-style: none; border-top: 1px solid var(--line); }
#tip li { display: grid; grid-template-columns: 76px 1fr; gap: 12px; }
#tip li span:first-child { text-align: right; color: var(--dim); white-space: nowrap; }
`;

/** For the script of every page: elements, times in words, and the tip beside what it explains. */
export const COMMON_SCRIPT = `
"use strict";
const byId = (id) => document.getElementById(id);
const make = (name, className, text) => {
  const el = document.createElement(name);
  if (className) el.className = className;
  if (text !== undefined) el.textContent = text;
  return el;
};
const ms = (n, step) => {
  if (n >= 60000 && !(step < 100)) return (n / 60000).toFixed(1) + " min";
  if (n >= 1000 && !(step < 1)) return (n / 1000).toFixed(step < 10 ? 3 : 2) + " s";
  return n.toFixed(step === undefined ? (n >= 100 ? 1 : 2) : step >= 1 ? 0 : Math.min(4, Math.ceil(-Math.log10(step)))) + " ms";
};
const tip = byId("tip");
// at: what it stands beside, a point or the box of an element
const explain = (told, at) => {
  const [title, lines, steps] = told;
  tip.replaceChildren(make("b", "", title));
  for (const line of lines) tip.append(make("div", "", line));
  if (steps && steps.length > 0) {
    const list = make("ol");
    for (const [when, text] of steps.slice(0, 24)) {
      const item = make("li");
      item.append(make("span", "", when), make("span", "", text));
      list.append(item);
    }
    if (steps.length > 24) list.append(make("li", "dim", "and " + (steps.length - 24) + " more"));
    tip.append(list);
  }
  tip.hidden = false;
  const wide = document.documentElement.clientWidth, high = innerHeight, gap = 14;
  const left = Math.max(8, Math.min(at.x + gap, wide - tip.offsetWidth - 8));
  const below = at.bottom + gap, above = at.top - gap - tip.offsetHeight;
  const top = below + tip.offsetHeight <= high - 8 || above < 8 ? Math.min(below, high - tip.offsetHeight - 8) : above;
  tip.style.left = left + "px";
  tip.style.top = Math.max(8, top) + "px";
};
const hush = () => { tip.hidden = true; };
`;
