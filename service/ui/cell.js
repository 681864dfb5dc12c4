// One architecture beside the map: its drawing, what is predicted, what was measured, what it costs.

import { get } from "./api.js";
import { copyButton, el, figures } from "./dom.js";
import { drawing } from "./drawing.js";
import { count, deviation, exact, value } from "./format.js";

const PAUSE = 60; // milliseconds that the cursor rests before a drawing is fetched
const KEPT = 500; // drawings

export class Cell {
  /** A place for the architecture, and a live region for those who cannot see it. */
  constructor(place, live) {
    Object.assign(this, { place, live, drawn: new Map(), index: -1 });
  }

  of(whole, rank, measured) {
    Object.assign(this, { whole, rank, measured, index: -1 });
    this.drawn.clear();
  }

  /** Figures at once, the drawing when the cursor rests; `aloud` also says it. */
  show(index, aloud) {
    if (aloud) this.live.textContent = this.#spoken(index);
    if (index === this.index) return;
    this.index = index;
    clearTimeout(this.pause);
    const known = this.drawn.get(index);
    this.#render(index, known);
    if (!known) this.pause = setTimeout(() => this.#fetch(index), aloud ? 0 : PAUSE);
  }

  async #fetch(index) {
    const { whole } = this;
    try {
      const known = await get(`/v1/models/${encodeURIComponent(whole.model)}/architectures/${index}`);
      if (whole !== this.whole) return;
      if (this.drawn.size >= KEPT) this.drawn.clear();
      this.drawn.set(index, known);
      if (index === this.index) this.#render(index, known);
    } catch (error) {
      if (index === this.index) this.place.append(el("p", { class: "error" }, error.message));
    }
  }

  #render(index, known) {
    const picture = known ? drawing(known.svg, `Drawing of ${known.architecture}`) : el("div", { class: "drawing" });
    const notation = known && [
      el("p", { class: "notation" }, el("code", {}, known.architecture)),
      el("div", { class: "row" }, copyButton(known.architecture), this.#startButton(known.architecture)),
    ];
    const frame = el("div", { class: "picture" }, picture);
    this.place.replaceChildren(frame, figures(this.#rows(index, known)), ...(notation ?? []));
  }

  #startButton(text) {
    const tell = () => document.dispatchEvent(new CustomEvent("start-from", { detail: text }));
    return el("button", { type: "button", class: "quiet", onclick: tell }, "Start an ascent here");
  }

  #rows(index, known) {
    const { whole } = this;
    const spread = known ? ` ${deviation(known.predicted.std)}` : "";
    const measured = whole.measured[index];
    return [
      ["Predicted", `${whole.predicted[index].toFixed(2)}${spread}`],
      ["Measured", value(measured)],
      ["Rank", measured === null ? "–" : `${exact(this.rank(measured))} of ${exact(this.measured)}`],
      ["Params", count(whole.params?.[index])],
      ["FLOPs", count(whole.flops?.[index])],
      ["Twins", known ? exact(known.twins - 1) : "…"],
    ];
  }

  #spoken(index) {
    return this.#rows(index)
      .slice(0, 4)
      .map(([name, text]) => `${name} ${text}`)
      .join(", ");
  }
}
