// The known architectures as a table: what the map shows, for those who do not use it.

import { get } from "./api.js";
import { byId, el, failure } from "./dom.js";
import { count, deviation, exact, value } from "./format.js";

const A_PAGE = 12;

export class KnownTable {
  /** Tells which architecture was chosen. */
  constructor(choose) {
    this.choose = choose;
    byId("order").addEventListener("change", () => this.#first());
    byId("known-more").addEventListener("click", () => this.#next());
  }

  of(whole) {
    this.whole = whole;
    byId("order").value = whole.measured.some((one) => one !== null) ? "measured" : "predicted";
    this.#first();
  }

  #first() {
    this.token = null;
    this.body = el("tbody");
    const heads = ["Rank", "Predicted", "Measured", "Params", "FLOPs", "Architecture"];
    const head = el("thead", {}, el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text))));
    byId("known").replaceChildren(el("table", {}, head, this.body));
    this.#next();
  }

  async #next() {
    const { whole, body } = this;
    const token = this.token ? `&page_token=${encodeURIComponent(this.token)}` : "";
    const query = `order=${byId("order").value}&page_size=${A_PAGE}${token}`;
    try {
      const page = await get(`/v1/models/${encodeURIComponent(whole.model)}/architectures?${query}`);
      if (body !== this.body) return;
      body.append(...page.items.map((one) => this.#row(one)));
      this.token = page.next_page_token;
      byId("known-more").hidden = !this.token;
    } catch (error) {
      byId("known").append(failure(error));
    }
  }

  #row(one) {
    const onclick = () => this.choose(one.index);
    const show = el("button", { type: "button", class: "link", onclick }, one.architecture);
    const cells = [
      one.rank === null ? "–" : exact(one.rank),
      `${one.predicted.mean.toFixed(2)} ${deviation(one.predicted.std)}`,
      value(one.measured),
      count(one.params),
      count(one.flops),
      show,
    ];
    return el("tr", {}, cells.map((cell) => el("td", {}, cell)));
  }
}
