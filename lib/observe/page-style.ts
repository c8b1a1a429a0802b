/**
 * How our pages look, as text: the colours, by day and by night, and the rules of the page with the waterfall. Bars stand
 * out from the ground by 3:1 at least and text by 4.5:1 (WCAG 2.2 §1.4.3, §1.4.11); a spec measures them in a browser.
 *
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

/** The page with the waterfall. */
export const PAGE_STYLE = `${COMMON_STYLE}
nav { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 8px; margin: 14px 0 10px; }
#range { margin-left: 6px; }
#hint { margin-left: auto; }
#legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 10px; padding: 0; list-style: none; font-size: 13px; color: var(--dim); }
#legend li { display: flex; align-items: baseline; }
#legend i { flex: none; position: relative; top: 1px; display: inline-block; width: 11px; height: 11px; margin-right: 6px; border-radius: 2px; vertical-align: -1px; }
#chart { --labels: 320px; --row: 22px; position: relative; height: 68vh; min-height: 300px; overflow-y: auto; overflow-x: hidden; border: 1px solid var(--line); border-radius: 8px; touch-action: pan-y; user-select: none; }
#head { position: sticky; z-index: 2; top: 0; display: grid; grid-template-columns: var(--labels) 1fr; padding-right: 12px; background: var(--bg); border-bottom: 1px solid var(--line); }
#key { padding: 26px 12px 6px; font-size: 12px; line-height: 1.6; color: var(--dim); }
#key b { display: block; font-weight: 600; color: var(--fg); }
#key span { white-space: nowrap; }
#key i { display: inline-block; width: 9px; height: 9px; margin: 0 5px 0 0; border-radius: 2px; }
#key span + span { margin-left: 10px; }
#over { position: relative; cursor: zoom-in; }
.axis { position: relative; height: 24px; color: var(--dim); }
.axis span { position: absolute; top: 4px; padding-left: 5px; white-space: nowrap; }
#pool { display: block; width: 100%; height: 64px; overflow: hidden; }
#pool path { shape-rendering: crispEdges; }
#mark { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--fg); pointer-events: none; }
#brush { position: absolute; top: 0; bottom: 0; background: var(--focus); opacity: .22; pointer-events: none; }
#rows { position: relative; }
#grid { position: absolute; z-index: 0; left: calc(var(--labels)); right: 12px; top: 0; bottom: 0; pointer-events: none; }
#grid i { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--grid); }
.row { position: absolute; left: 0; right: 0; height: var(--row); padding-right: 12px; display: grid; grid-template-columns: var(--labels) 1fr; align-items: center; cursor: default; }
.row:hover, .row:focus-visible { background: var(--hover); }
.row.title { padding-left: 12px; font: 600 13px/1 system-ui, sans-serif; grid-template-columns: 1fr; align-items: end; padding-bottom: 3px; }
.name { display: flex; gap: 10px; min-width: 0; padding: 0 12px; white-space: nowrap; }
.what { flex: 1 1 auto; min-width: 0; overflow: hidden; text-overflow: ellipsis; }
.state { flex: 0 0 auto; max-width: 60%; overflow: hidden; text-overflow: ellipsis; color: var(--dim); }
.failed .state { color: var(--bad); }
.track { position: relative; height: 100%; overflow: hidden; }
.bar { position: absolute; top: 5px; bottom: 5px; min-width: 2px; border-radius: 2px; }
.bar.idle { top: calc(50% - 2px); bottom: calc(50% - 2px); }
.bar:hover, .bar.on { outline: 2px solid var(--fg); outline-offset: 0; z-index: 1; }
#reasons { margin: 0; padding: 0; list-style: none; font-size: 13px; overflow-wrap: anywhere; }
#reasons li { display: grid; grid-template-columns: 92px 1fr; gap: 14px; padding: 3px 0; border-bottom: 1px solid var(--grid); }
#reasons li span:first-child { text-align: right; color: var(--dim); white-space: nowrap; font-variant-numeric: tabular-nums; }
#reasons:empty::after { content: "nothing was closed, retried, redirected or refused"; color: var(--dim); }
#more { margin-top: 8px; }
@media (max-width: 720px) {
  #chart { --labels: 0px; --row: 40px; height: 72vh; }
  #head { grid-template-columns: 1fr; padding: 0 8px; } #key { padding: 6px 4px 0; } #key b { display: inline; margin-right: 8px; }
  #grid { left: 8px; right: 8px; }
  .row { grid-template-columns: 1fr; grid-template-rows: 22px 18px; padding: 0 8px; border-bottom: 1px solid var(--grid); } .row.title { grid-template-rows: 1fr; }
  .name { padding: 0 4px; } .bar { top: 3px; bottom: 5px; }
  #tip { font-size: 11px; max-height: 48vh; } #hint { display: none; } #range { margin-left: auto; }
  #tip li { grid-template-columns: 62px 1fr; gap: 8px; } #reasons li { grid-template-columns: 70px 1fr; gap: 10px; }
}
`;
