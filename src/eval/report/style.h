#pragma once

namespace temper {

/// The report's style sheet: light and dark by the reader's setting, one column on narrow screens, plain black on white in print.
constexpr const char* kReportStyle = R"css(
:root{color-scheme:light dark;--page:#f6f5f2;--card:#fff;--ink:#1d2126;--soft:#5c636d;--line:#dcdad4;--grid:#ebe9e4;--good:#0a7a4f;--bad:#b4321f;--unsure:#8a6400;
--series-1:#0b6fb8;--series-2:#d2590a;--series-3:#00826a;--series-4:#a83e85;--series-5:#8a6d00;--series-6:#3b9bd0;--series-7:#6550b5;--series-8:#868c96}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--card:#1c2026;--ink:#e8eaed;--soft:#a2a9b3;--line:#333941;--grid:#282d34;--good:#4fc796;--bad:#ff8672;--unsure:#e0b94f;
--series-1:#5bb1f3;--series-2:#ff8f52;--series-3:#42c9a6;--series-4:#e58bc3;--series-5:#d5b54b;--series-6:#93d5f8;--series-7:#ab98f2;--series-8:#8b929d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.2;margin:0 0 2px;letter-spacing:-.01em}h2{font-size:19px;margin:38px 0 10px}h3{font-size:15px;margin:20px 0 8px}
p{margin:6px 0 10px;max-width:76ch}.soft,small,figcaption small{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:18px 0}
.tile,figure,.card{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tile{padding:12px 14px}.tile b{display:block;white-space:nowrap;font-size:18px;letter-spacing:-.01em;line-height:1.25;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:13px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:14px}
figure{margin:0;padding:12px 14px 8px}figcaption{display:flex;justify-content:space-between;gap:12px;align-items:baseline}
svg{display:block;width:100%;height:auto;overflow:visible}svg.intervals{width:180px}
.grid{stroke:var(--grid)}.axis{stroke:var(--line)}.tick{fill:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}.faint{stroke-width:1;opacity:.28}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:12.5px;color:var(--soft);margin:2px 0 4px}.legend i{display:inline-block;width:16px;border-top:3px solid;margin-right:6px;vertical-align:middle}.legend i.dashed{border-top-style:dotted}.dashed{stroke-dasharray:5 4}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:7px 10px;border-bottom:1px solid var(--line);vertical-align:middle}tr:last-child td{border-bottom:0}th{font-weight:600;color:var(--soft);font-size:13px}
td.n,th.n{text-align:right;white-space:nowrap}td small{display:block;line-height:1.35}
.pass,.better,.good{color:var(--good);font-weight:600}.fail,.worse,.bad{color:var(--bad);font-weight:600}.inconclusive{color:var(--unsure);font-weight:600}
.sample{padding:12px 14px;margin:12px 0}.sample>p{margin:0 0 8px;font-weight:600;white-space:pre-wrap;max-width:none}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:14px}.pair>div{border-top:3px solid var(--series-8);padding-top:6px;min-width:0}.pair>div+div{border-color:var(--series-1)}
.answer{white-space:pre-wrap;overflow-wrap:anywhere;max-height:20em;overflow-y:auto;margin-top:4px}
pre{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;overflow-x:auto;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin:8px 0}
details{margin:10px 0}summary{cursor:pointer;font-weight:600}
@media (max-width:640px){.pair{grid-template-columns:1fr}main{padding:18px 12px 40px}}
@media print{:root{--page:#fff;--card:#fff}figure,.sample,tr{break-inside:avoid}details>*{display:block}}
)css";

}  // namespace temper
