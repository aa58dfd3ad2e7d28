// Small drawings. Colours come from the style sheet's classes.

import {svg} from "./dom.js";
import {fixed, percent} from "./format.js";

const kWidth = 220;
const kHeight = 84;
const kFoot = 12;

/** Two distributions over the same cells: the reference filled, today's as an outline. */
export function histogram(evidence) {
  const reference = evidence.reference_shares ?? [];
  const current = evidence.current_shares ?? [];
  const cells = Math.min(Math.max(reference.length, current.length), 64);
  const names = evidence.names ?? [];
  const bounds = evidence.bounds ?? [];
  if (cells === 0) return null;
  const most = Math.max(1e-9, ...reference.slice(0, cells), ...current.slice(0, cells));
  const wide = kWidth / cells;
  const tall = (share) => Math.max(0, (share ?? 0) / most) * (kHeight - kFoot);
  const nameOf = (i) => names[i] ?? (bounds.length > i + 1 ? `${fixed(bounds[i], 2)} to ${fixed(bounds[i + 1], 2)}` : `cell ${i + 1}`);
  const bars = [];
  for (let i = 0; i < cells; ++i) {
    const cell = svg("g", {}, svg("title", {}, `${nameOf(i)}: reference ${percent(reference[i] ?? 0)}, now ${percent(current[i] ?? 0)}`));
    for (const [shares, kind, inset] of [[reference, "reference", 0.08], [current, "current", 0.28]]) {
      const height = tall(shares[i]);
      cell.append(svg("rect", {class: kind, x: (i + inset) * wide, y: kHeight - kFoot - height, width: wide * (1 - 2 * inset), height}));
    }
    bars.push(cell);
  }
  const first = names[0] ?? (bounds.length > 0 ? fixed(bounds[0], 2) : "");
  const last = names[cells - 1] ?? (bounds.length > cells ? fixed(bounds[cells], 2) : "");
  return svg("svg", {class: "histogram", viewBox: `0 0 ${kWidth} ${kHeight}`, role: "img", "aria-label": `${evidence.subject}: reference and now`},
    bars,
    svg("line", {x1: 0, x2: kWidth, y1: kHeight - kFoot, y2: kHeight - kFoot}),
    svg("text", {x: 0, y: kHeight - 2}, first.slice(0, 14)),
    cells > 1 && svg("text", {x: kWidth, y: kHeight - 2, "text-anchor": "end"}, last.slice(0, 14)));
}

/** A difference with its interval on a line through zero; `scale` is the largest magnitude shown. */
export function interval(low, value, high, scale) {
  const width = 120;
  const at = (number) => width / 2 + Math.max(-1, Math.min(1, number / scale)) * (width / 2 - 4);
  return svg("svg", {class: "difference", viewBox: `0 0 ${width} 14`, role: "img", "aria-label": `${fixed(value)}, ${fixed(low)} to ${fixed(high)}`},
    svg("line", {class: "zero", x1: width / 2, x2: width / 2, y1: 0, y2: 14}),
    svg("line", {class: "range", x1: at(low), x2: at(high), y1: 7, y2: 7}),
    svg("circle", {cx: at(value), cy: 7, r: 3.5}));
}
