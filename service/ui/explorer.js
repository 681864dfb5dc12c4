// The map's page: which model is shown, in which colours, and the architecture under the cursor.

import { get } from "./api.js";
import { Cell } from "./cell.js";
import { byId, el, failure, say } from "./dom.js";
import { exact, value } from "./format.js";
import { KnownTable } from "./known.js";
import { LatentMap } from "./map.js";
import { Points } from "./points.js";
import { SHADES, Scale, colour } from "./scale.js";

export class Explorer extends EventTarget {
  /** Tells `model` when another one is shown; `whole` is then its map. */
  constructor() {
    super();
    this.map = new LatentMap(byId("map"));
    this.cell = new Cell(byId("cell"), byId("cell-live"));
    this.known = new KnownTable((index) => this.pick(index));
    this.map.addEventListener("hover", ({ detail }) => this.#hover(detail));
    this.map.addEventListener("pick", ({ detail }) => detail >= 0 && this.pick(detail));
    this.map.addEventListener("walk", ({ detail }) => this.#walk(detail));
    byId("model").addEventListener("change", () => this.#load());
    byId("colour").addEventListener("change", () => this.#colour());
    byId("zoom-in").addEventListener("click", () => this.map.zoom(1.6));
    byId("zoom-out").addEventListener("click", () => this.map.zoom(1 / 1.6));
    byId("zoom-all").addEventListener("click", () => this.map.showAll());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#legend());
  }

  async start() {
    try {
      const { models, unavailable } = await get("/v1/models");
      const broken = Object.entries(unavailable).map(([name, why]) => `The model ${name} does not load: ${why}. `);
      say(byId("notice"), broken.join(""));
      byId("model").replaceChildren(...models.map(({ name }) => el("option", {}, name)));
      if (!models.length) throw new Error(`${broken.join("")}There is no model: train one with python -m crlso.train.`);
      await this.#load();
    } catch (error) {
      say(byId("notice"), error.message);
    }
  }

  /** Shows an architecture and keeps it. */
  pick(index) {
    this.map.select(index);
    this.cell.show(index, true);
  }

  /** Where an architecture is on the map. */
  place(index) {
    return [this.points.x[index], this.points.y[index]];
  }

  /** The place that a measured value has among all, 1 is the best. */
  rank(measured) {
    if (measured === null || !this.measured.order.length) return null;
    return this.measured.rank(Number(measured.toPrecision(6))); // the map's values have six digits
  }

  async #load() {
    const name = byId("model").value;
    const asked = (this.asked = Symbol(name)); // an answer to an older question is dropped
    byId("map").setAttribute("aria-busy", "true");
    try {
      const whole = await get(`/v1/models/${encodeURIComponent(name)}/map`);
      if (asked !== this.asked) return;
      this.#show(whole);
    } catch (error) {
      byId("cell").replaceChildren(failure(error));
    } finally {
      byId("map").removeAttribute("aria-busy");
    }
  }

  #show(whole) {
    this.whole = whole;
    const sign = whole.direction === "max" ? 1 : -1;
    this.measured = new Scale(whole.measured, sign);
    this.predicted = new Scale(whole.predicted, sign);
    this.points = new Points(whole.x, whole.y);
    const choice = byId("colour");
    choice.options[0].disabled = !this.measured.order.length;
    if (!this.measured.order.length) choice.value = "predicted";
    byId("map-lead").textContent = describe(whole, this.measured.order.length);
    this.map.selected = -1;
    this.map.showAll();
    this.cell.of(whole, (measured) => this.rank(measured), this.measured.order.length);
    this.known.of(whole);
    this.#colour();
    this.dispatchEvent(new Event("model"));
  }

  #colour() {
    this.scale = this[byId("colour").value];
    const shades = this.scale.shades();
    this.map.show(this.points, shades);
    this.#legend();
  }

  #legend() {
    if (!this.scale) return;
    const bar = el("span", { class: "ramp" });
    const stops = Array.from({ length: 12 }, (_, i) => colour(i / 11));
    bar.style.backgroundImage = `linear-gradient(90deg, ${stops.join(", ")})`;
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => el("span", {}, value(this.scale.tick(share))));
    const legend = byId("legend");
    legend.replaceChildren(bar, el("span", { class: "ticks" }, ticks));
    const [worst, best] = [0, 1].map((share) => value(this.scale.tick(share), this.whole.unit));
    legend.setAttribute("aria-label", `Colour by rank, from ${worst} to ${best}; ${SHADES} shades`);
  }

  #hover(index) {
    if (index >= 0) this.cell.show(index, false);
    else if (this.map.selected >= 0) this.cell.show(this.map.selected, false);
  }

  /** To the next better (-1) or worse (1) architecture, or to the best (0). */
  #walk(step) {
    if (!this.scale) return;
    const { order } = this.scale;
    const at = order.indexOf(this.map.selected);
    const next = step === 0 || at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + step));
    this.pick(order[next]);
  }
}

function describe({ space, metric, twins }, measured) {
  const classes = new Set(twins).size;
  const apart = classes < twins.length ? `, ${exact(classes)} of them distinct in what they compute` : "";
  const known = measured ? `; ${exact(measured)} have a measured ${metric.replaceAll("_", " ")}` : "";
  return `All ${exact(twins.length)} architectures of ${space} that the model knows${apart}${known}.`;
}
