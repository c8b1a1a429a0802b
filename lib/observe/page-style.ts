/**
 * How the page with the waterfall looks, as text: on a wide window its rows have a column of names, on a narrow one their
 * names stand above their bars.
 */

import { COMMON_STYLE } from "./page-common.ts";

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
