// What a running job tells of itself, as lines: loss, accuracy, living operations, params, and any other figure.

import { dot, frame, line, span } from "./chart.js";
import { el, responsive } from "./dom.js";
import { count } from "./format.js";

const NAMES = { loss: "Loss", accuracy: "Accuracy, %", alive: "Operations alive", params: "Params" };
const LEFT_OUT = new Set(["epoch"]); // says what `done` says
const HEIGHT = 190;

export class Traces {
  constructor() {
    this.element = el("div", { class: "traces" });
    Object.assign(this, { traces: new Map(), last: 0, before: 0 });
  }

  /** One event of the job's progress: whatever else is a number in it, or some with names, belongs to a chart. */
  add({ done, total, message, ...told }) {
    if (done < this.last) this.before += this.last; // a new part of the job counts from the beginning
    this.last = done;
    for (const [name, value] of Object.entries(told)) {
      const parts = Object.entries(value !== null && typeof value === "object" ? value : { "": value });
      const numbers = parts.filter(([, number]) => Number.isFinite(number));
      if (!numbers.length || LEFT_OUT.has(name)) continue;
      if (!this.traces.has(name)) this.traces.set(name, this.#make(name));
      this.traces.get(name).add(this.before + done, numbers);
    }
  }

  /** A chart in its place: those that have a title come first, in that order. */
  #make(name) {
    const order = [...Object.keys(NAMES), ""];
    const rank = (one) => (one in NAMES ? order.indexOf(one) : order.length);
    const trace = new Trace(NAMES[name] ?? name);
    const after = [...this.traces].find(([other]) => rank(other) > rank(name));
    this.element.insertBefore(trace.element, after?.[1].element ?? null);
    this.traces = new Map([...this.traces, [name, trace]].sort(([a], [b]) => rank(a) - rank(b)));
    return trace;
  }
}

/** One chart, with a line for each part of its figure. */
class Trace {
  constructor(title) {
    Object.assign(this, { title, series: new Map(), width: 0, plot: el("div", { class: "plot" }) });
    Object.assign(this, { head: el("h3", {}, title), key: el("ul", { class: "key" }) });
    this.element = el("section", { class: "panel" }, this.head, this.plot, this.key);
    responsive(this.plot, (width) => {
      this.width = width;
      this.#ask();
    });
  }

  add(step, numbers) {
    for (const [part, number] of numbers) {
      if (!this.series.has(part)) this.series.set(part, []);
      this.series.get(part).push([step, number]);
    }
    this.#ask();
  }

  /** Draws at the next frame, as many events may come at once. */
  #ask() {
    if (!this.width) return;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #draw() {
    const { title, width, series } = this;
    const all = [...series.values()];
    const total = (which) => all.reduce((sum, places) => sum + places.at(which)[1], 0);
    const [x, y] = [0, 1].map((axis) => span(all.flatMap((places) => places.map((place) => place[axis]))));
    const label = `${title}: ${count(total(-1))} at step ${all[0].at(-1)[0]}, ${count(total(0))} at first`;
    const axes = frame({ width, height: HEIGHT, x, y, xName: "step", yName: "", label });
    all.forEach((places, i) => {
      const pixels = places.map(([a, b]) => [axes.x(a), axes.y(b)]);
      axes.svg.append(line(pixels, { kind: `trace part-${i % 7}` }), dot(pixels.at(-1), 3.5, `last part-${i % 7}`));
    });
    this.head.replaceChildren(`${title} `, el("small", {}, count(total(-1))));
    this.plot.replaceChildren(axes.svg);
    if (all.length > 1) this.key.replaceChildren(...[...series].map(([part, places], i) => entry(part, places, i)));
  }
}

function entry(part, places, i) {
  const text = `${part.replaceAll("_", " ")} ${count(places.at(-1)[1])}`;
  return el("li", {}, el("span", { class: `swatch part-${i % 7}` }), text);
}
