// What a running job tells of itself, as lines: loss, living operations, accuracy, params, and any other figure.

import { frame, line, dot, span } from "./chart.js";
import { el, responsive } from "./dom.js";
import { count } from "./format.js";

const NAMES = { loss: "Loss", alive: "Operations alive", accuracy: "Accuracy, %", params: "Params" };
const HEIGHT = 190;

export class Traces {
  constructor() {
    this.element = el("div", { class: "traces" });
    Object.assign(this, { lines: new Map(), last: 0, before: 0 });
  }

  /** One event of the job's progress: whatever else is a number in it belongs to a line. */
  add({ done, total, message, ...figures }) {
    if (done < this.last) this.before += this.last; // a new part of the job counts from the beginning
    this.last = done;
    for (const [name, value] of Object.entries(figures)) {
      if (!Number.isFinite(value)) continue;
      if (!this.lines.has(name)) this.lines.set(name, this.#make(name));
      const trace = this.lines.get(name);
      trace.places.push([this.before + done, value]);
      this.#draw(trace);
    }
  }

  #make(name) {
    const plot = el("div", { class: "plot" });
    const trace = { title: NAMES[name] ?? name, plot, places: [], width: 0 };
    trace.head = el("h3", {}, trace.title);
    this.element.append(el("section", { class: "panel" }, trace.head, plot));
    responsive(plot, (width) => {
      trace.width = width;
      this.#draw(trace);
    });
    return trace;
  }

  /** At the next frame, as many events may come at once. */
  #draw(trace) {
    if (!trace.width) return;
    trace.frame ??= requestAnimationFrame(() => {
      trace.frame = null;
      const { places, title, width } = trace;
      const [x, y] = [0, 1].map((axis) => span(places.map((place) => place[axis])));
      const last = places.at(-1);
      const label = `${title}: ${count(last[1])} at step ${last[0]}, ${count(places[0][1])} at first`;
      const axes = frame({ width, height: HEIGHT, x, y, xName: "step", yName: "", label });
      const pixels = places.map(([a, b]) => [axes.x(a), axes.y(b)]);
      axes.svg.append(line(pixels), dot(pixels.at(-1), 3.5, "last"));
      trace.head.replaceChildren(`${title} `, el("small", {}, count(last[1])));
      trace.plot.replaceChildren(axes.svg);
    });
  }
}
