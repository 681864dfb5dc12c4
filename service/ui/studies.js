// Studies: their list, one of them with its trials and the curve of the best, and a form that opens one.

import { get, once, post } from "./api.js";
import { byId, el, failure, say } from "./dom.js";
import { moment } from "./format.js";
import { absent, bar, moreButton, pages, table } from "./lists.js";
import { showStudy } from "./study.js";

export class Studies {
  constructor() {
    Object.assign(this, { place: byId("studies"), form: byId("study-new"), pages: 1 });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#open();
    });
  }

  /** Shows one study, or the list of all. */
  async show(id) {
    this.stop?.();
    this.form.hidden = Boolean(id);
    if (id) this.stop = showStudy(this.place, id);
    else await Promise.all([this.#list(), this.#spaces()]);
  }

  hide() {
    this.stop?.();
  }

  async #list() {
    try {
      const { items, more } = await pages("/v1/studies", this.pages);
      const heads = ["Name", "Space", "Strategy", "Trials", "Opened"];
      const rows = items.map((study) => row(study));
      const next = moreButton(more, () => this.#more());
      const list = items.length ? table(heads, rows, "Studies") : el("p", { class: "hint" }, "No study yet.");
      this.place.replaceChildren(el("div", { class: "panel" }, list, next));
      this.form.hidden = false;
    } catch (error) {
      this.form.hidden = error.status !== 401;
      this.place.replaceChildren(failure(new Error(absent(error, "studies"))));
    }
  }

  #more() {
    this.pages += 1;
    this.#list();
  }

  async #spaces() {
    const choice = this.form.elements.space;
    if (choice.options.length) return;
    const { spaces } = await get("/v1/spaces").catch(() => ({ spaces: [] }));
    choice.replaceChildren(...spaces.map(({ name }) => el("option", {}, name)));
    if (spaces.some(({ name }) => name === "nasbench201")) choice.value = "nasbench201";
  }

  async #open() {
    say(byId("study-new-error"), null);
    try {
      const study = await post("/v1/studies", this.#request(), once());
      this.form.elements.name.value = "";
      location.hash = `#/studies/${encodeURIComponent(study.id)}`;
    } catch (error) {
      say(byId("study-new-error"), error.message);
    }
  }

  #request() {
    const { elements } = this.form;
    const number = (name) => Number(elements[name].value);
    const given = (name) => elements[name].value.trim() !== "";
    return {
      ...(given("name") ? { name: elements.name.value.trim() } : {}),
      space: elements.space.value,
      strategy: elements.strategy.value,
      metrics: [{ name: elements.metric.value, direction: elements.direction.value }],
      limits: given("params") ? [{ metric: "params", max: number("params") }] : [],
      ...Object.fromEntries(["seed", "init", "batch"].map((name) => [name, number(name)])),
      ...(given("budget") ? { budget: number("budget") } : {}),
    };
  }
}

function row(study) {
  const { counts } = study;
  const told = counts.done + counts.failed + counts.infeasible;
  return [
    el("a", { href: `#/studies/${encodeURIComponent(study.id)}` }, study.name || study.id),
    study.space,
    study.strategy,
    study.budget ? bar(told, study.budget, "Trials told") : String(told),
    moment(study.created),
  ];
}
