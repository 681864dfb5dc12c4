// Charts in SVG: axes with round numbers, lines on them. Drawn for the width they have, so that letters stay legible.

import { svgEl } from "./dom.js";
import { count } from "./format.js";

const EDGE = { top: 12, right: 14, bottom: 34, left: 52 };

/** Round numbers that cover an interval, some `most` of them. */
function ticks([low, high], most) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

/** An interval that is not empty, with some air. */
export function span(values, air = 0.05) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  const [low, high] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
  const room = (high - low) * air || Math.abs(high) * air || 1;
  return [low - room, high + room];
}

/**
 * Axes of a chart, the lower one of whole numbers: `svg` to draw into, `x` and `y` from values to pixels, and the pixel
 * of the lower axis.
 */
export function frame({ width, height, x, y, xName, yName, label }) {
  const box = { viewBox: `0 0 ${width} ${height}`, width, height };
  const svg = svgEl("svg", { class: "chart", role: "img", "aria-label": label, ...box });
  const across = (v) => EDGE.left + ((v - x[0]) / (x[1] - x[0])) * (width - EDGE.left - EDGE.right);
  const up = (v) => height - EDGE.bottom - ((v - y[0]) / (y[1] - y[0])) * (height - EDGE.top - EDGE.bottom);
  for (const tick of ticks(y, 5)) {
    svg.append(svgEl("line", { class: "rule", x1: EDGE.left, x2: width - EDGE.right, y1: up(tick), y2: up(tick) }));
    svg.append(svgEl("text", { x: EDGE.left - 8, y: up(tick), dy: "0.35em", "text-anchor": "end" }, count(tick)));
  }
  for (const tick of ticks(x, Math.max(4, Math.floor(width / 90))).filter(Number.isInteger)) {
    const at = { x: across(tick), y: height - EDGE.bottom + 16 };
    svg.append(svgEl("text", { ...at, "text-anchor": "middle" }, count(tick)));
  }
  svg.append(svgEl("text", { class: "axis", x: width - EDGE.right, y: height - 3, "text-anchor": "end" }, xName));
  svg.append(svgEl("text", { class: "axis", x: EDGE.left + 6, y: EDGE.top + 4 }, yName));
  return { svg, x: across, y: up, ground: height - EDGE.bottom };
}

/** A line through places, in steps where a value holds until the next. */
export function line(places, { steps = false, kind = "trace" } = {}) {
  const to = ([px, py], i) => (i === 0 ? `M${px} ${py}` : steps ? `H${px}V${py}` : `L${px} ${py}`);
  return svgEl("path", { class: kind, d: places.map(([px, py], i) => to([px.toFixed(1), py.toFixed(1)], i)).join("") });
}

export const dot = ([px, py], radius, kind) => svgEl("circle", { class: kind, cx: px, cy: py, r: radius });
