// Value against cost: all known architectures, the front of those measured, and the proposals.

import { byId, el, responsive } from "./dom.js";
import { dot, frame, line, span } from "./chart.js";
import { exact } from "./format.js";
import { SHADES, colour } from "./scale.js";

const HEIGHT = 360;
const HIDDEN = 0.5; // the lower half reaches so far down that nothing above could be told apart

export class Pareto {
  constructor(explorer) {
    Object.assign(this, { explorer, proposals: [], place: byId("pareto") });
    byId("cost").addEventListener("change", () => this.#draw());
    explorer.addEventListener("model", () => this.show([]));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    responsive(this.place, (width) => {
      this.width = width;
      this.#draw();
    });
  }

  show(proposals) {
    this.proposals = proposals;
    this.#draw();
  }

  #draw() {
    const { whole, measured, predicted } = this.explorer;
    const costs = whole?.[byId("cost").value];
    if (!whole || !this.width) return;
    if (!costs) {
      this.place.replaceChildren(hint("No network of this space is known, so there are no costs."));
      return;
    }
    const known = measured.order.length > 0;
    const scale = known ? measured : predicted;
    const front = frontOf(scale.order, costs);
    const said = known ? "measured" : "predicted";
    this.place.replaceChildren(
      this.#picture(scale, costs, front, known),
      hint(
        `${exact(front.length)} architectures are on the front by ${said} value, which the line joins. Discs with ` +
          "numbers are proposals. What is lower than all of the front and than the better half is below the plot.",
      ),
    );
  }

  #picture(scale, costs, front, known) {
    const { whole } = this.explorer;
    const name = byId("cost").selectedOptions[0].text;
    const axes = frame({
      width: this.width,
      height: HEIGHT,
      x: span(costs),
      y: span([...front.map((i) => scale.values[i]), scale.at(HIDDEN)]),
      xName: name,
      yName: `${whole.metric.replaceAll("_", " ")}${whole.unit === "percent" ? ", %" : ""}`,
      label: `Value against ${name}: ${exact(scale.order.length)} known architectures, ${front.length} on the front, ` +
        `${this.proposals.length} proposals`,
    });
    const place = (i) => [axes.x(costs[i]), axes.y(scale.values[i])];
    axes.svg.append(line(front.map(place), { steps: true, kind: "front" }));
    front.forEach((i) => axes.svg.append(dot(place(i), 3.5, "front-dot")));
    for (const i of [...this.proposals.keys()].reverse()) this.#mark(axes, this.proposals[i], i, known); // best on top
    return el("div", { class: "plot" }, this.#cloud(scale, place, axes.ground), axes.svg);
  }

  #mark(axes, proposal, i, known) {
    const value = known ? proposal.measured : proposal.predicted.mean;
    const cost = proposal[byId("cost").value];
    if (value === null || cost === null) return;
    const at = [axes.x(cost), axes.y(value)];
    const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
    for (const [name, number] of [["x", at[0]], ["y", at[1]], ["dy", "0.35em"]]) text.setAttribute(name, number);
    text.setAttribute("class", "proposal-number");
    text.textContent = i + 1;
    axes.svg.append(dot(at, 8.5, "proposal"), text);
  }

  /** All points on a canvas below the axes: too many for a document. */
  #cloud(scale, place, ground) {
    const canvas = el("canvas", { "aria-hidden": "true", width: this.width * 2, height: HEIGHT * 2 });
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    const paints = Array.from({ length: SHADES }, (_, shade) => colour(shade / (SHADES - 1)));
    const shades = scale.shades();
    for (const entry of [...scale.order].reverse()) {
      const [px, py] = place(entry);
      if (py > ground) continue;
      context.fillStyle = paints[shades[entry]];
      context.fillRect(px - 1, py - 1, 2, 2);
    }
    return canvas;
  }
}

const hint = (text) => el("p", { class: "hint" }, text);

/** Entries that no other one beats at no more cost, from the least cost: `order` has the best first. */
function frontOf(order, costs) {
  const front = [];
  let least = Infinity;
  for (const entry of order) {
    if (costs[entry] < least) {
      least = costs[entry];
      front.push(entry);
    }
  }
  return front.reverse();
}
