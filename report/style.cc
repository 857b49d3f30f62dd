#include "report/style.h"

namespace cmerc::report {

// Series colors: Okabe and Ito's, which the color-blind tell apart, lighter on dark ground;
// dashes tell them apart in black and white.
const char kStyleSheet[] = R"css(
:root {
  color-scheme: light dark;
  --ground: #ffffff; --text: #1d1d1f; --faint: #6a6a70; --grid: #e2e2e6; --box: #f4f4f6;
  --warn: #fff4dc; --warn-edge: #d99a00; --inverse: #ffffff; --link: #005ea2;
  --heat: #00568a;
  --c0: #0072b2; --c1: #d55e00; --c2: #00855f; --c3: #b4558e; --c4: #8a6d00; --c5: #4a90b8;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #17181c; --text: #e9e9ec; --faint: #a3a3ab; --grid: #35363d; --box: #22242a;
    --warn: #3a2f12; --warn-edge: #e0aa30; --inverse: #10131a; --link: #7cc4ff;
    --heat: #3f97d6;
    --c0: #5ab4ee; --c1: #ff9a4d; --c2: #3fd3a0; --c3: #ee9cca; --c4: #e5cf4a; --c5: #9cc9e4;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 82rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 2.5rem 0 0.5rem;
     padding-top: 1rem; border-top: 3px solid var(--grid); }
h3 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
h4 { font-size: 1rem; margin: 1rem 0 0.25rem; }
p { max-width: 46rem; }
a { color: var(--link); }
code, pre { font-family: ui-monospace, DejaVu Sans Mono, monospace; font-size: 0.85rem; }
pre { background: var(--box); padding: 0.75rem; overflow: auto; overflow-wrap: normal; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.15rem 1rem;
     margin: 1rem 0; }
dt { color: var(--faint); }
dd { margin: 0; }
details { margin: 0.25rem 0; }
summary { cursor: pointer; color: var(--link); font-size: 0.9rem; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums;
        overflow-wrap: normal; }
th, td { padding: 0.25rem 0.5rem; text-align: right; border-bottom: 1px solid var(--grid);
         white-space: nowrap; }
.long { white-space: normal; min-width: 7rem; overflow-wrap: anywhere; }
.name { text-align: left; }
thead th { color: var(--faint); font-weight: 600; vertical-align: bottom; white-space: normal; }
thead .long { min-width: 5rem; }
th:first-child { text-align: left; font-weight: 600; }
.remarks { background: var(--warn); border-left: 4px solid var(--warn-edge); padding: 0.5rem 1rem;
           margin: 1rem 0; }
.remarks h3 { margin: 0; }
.remarks ul { margin: 0.25rem 0; padding-left: 1.25rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr));
           gap: 1.5rem; align-items: start; margin-top: 1rem; }
.figures h4 { margin-top: 0; }
figure { margin: 0; min-width: 0; max-width: 30rem; }
.figures div { min-width: 0; }
figcaption { font-weight: 600; font-size: 0.95rem; margin-bottom: 0.25rem; }
figure svg { display: block; width: 100%; height: auto; }
figure svg.swatch { display: inline-block; width: 24px; height: 10px; margin-right: 0.35rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; margin: 0.25rem 0; font-size: 0.85rem; }
svg text { fill: var(--text); font-size: 12px; }
svg .inverse { fill: var(--inverse); }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis { stroke: var(--faint); stroke-width: 1; }
.mark { stroke: var(--faint); stroke-width: 1.5; stroke-dasharray: 3 3; }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
.fill { fill: var(--c); }
.heat { fill: var(--heat); }
.dot { fill: var(--c); fill-opacity: 0.5; }
.interval { stroke: var(--faint); stroke-width: 1.5; }
.gap { fill: var(--c1); fill-opacity: 0.5; }
.under { fill: var(--c2); fill-opacity: 1; }
.line.mark { stroke: var(--faint); stroke-width: 1.5; }
figure svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.cell { fill: none; stroke: var(--grid); stroke-width: 1; }
.s0 { --c: var(--c0); }
.s1 { --c: var(--c1); }
.s2 { --c: var(--c2); }
.s3 { --c: var(--c3); }
.s4 { --c: var(--c4); }
.s5 { --c: var(--c5); }
.line.s1 { stroke-dasharray: 7 3; }
.line.s2 { stroke-dasharray: 2 2.5; }
.line.s3 { stroke-dasharray: 8 3 2 3; }
.line.s4 { stroke-dasharray: 12 4; }
.line.s5 { stroke-dasharray: 1 4; }
@media screen and (min-width: 60rem) {
  th, td { white-space: normal; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  .figures { grid-template-columns: repeat(2, 1fr); }
  figure, tr, .remarks { break-inside: avoid; }
  h2, h3, h4, h3 + p { break-after: avoid; }
  figure details, nav { display: none; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  th, td { padding: 0.15rem 0.3rem; white-space: normal; }
  .long { min-width: 0; }
}
)css";

}  // namespace cmerc::report
