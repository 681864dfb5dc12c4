// The form that asks for architectures, and the ascent as the service tells of it.

import { events, get } from "./api.js";
import { byId, el, say } from "./dom.js";

export class Optimise extends EventTarget {
  /** Tells `answer` with {answer, places}; draws what comes before on `paths`. */
  constructor(explorer, paths) {
    super();
    Object.assign(this, { explorer, paths, form: byId("optimise"), from: [] });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#climb();
    });
    document.addEventListener("start-from", ({ detail }) => this.#startFrom([...new Set([...this.from, detail])]));
    explorer.addEventListener("model", () => this.#reset());
  }

  async #reset() {
    this.running?.abort();
    this.paths.clear();
    this.#startFrom([]);
    byId("climb-start").disabled = false;
    const { space, params, flops } = this.explorer.whole;
    this.form.elements.params.disabled = !params;
    this.form.elements.flops.disabled = !flops;
    const { supernets } = await get("/v1/supernets").catch(() => ({ supernets: [] }));
    const fitting = supernets.filter((one) => one.space === space).map(({ name }) => `supernet:${name}`);
    const options = [el("option", { value: "" }, "none"), ...fitting.map((name) => el("option", {}, name))];
    this.form.elements.evaluator.replaceChildren(...options);
  }

  #startFrom(texts) {
    this.from = texts;
    const line = byId("start-from");
    line.hidden = !texts.length;
    const forget = el("button", { type: "button", class: "link", onclick: () => this.#startFrom([]) }, "forget");
    const what = texts.length === 1 ? "a chosen architecture" : `${texts.length} chosen architectures`;
    line.replaceChildren(`Starts at ${what} and at random: `, forget);
  }

  async #climb() {
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.paths.clear();
    say(byId("climb-error"), null);
    byId("climb").hidden = false;
    byId("climb-live").textContent = "Climbing…";
    try {
      const done = await this.#follow(running.signal);
      byId("climb-live").textContent = summary(done.answer);
      this.dispatchEvent(new CustomEvent("answer", { detail: done }));
    } catch (error) {
      if (error.name === "AbortError") return;
      byId("climb-live").textContent = "";
      say(byId("climb-error"), error.message);
    } finally {
      if (running === this.running) byId("climb").hidden = true;
    }
  }

  /** Draws the ascent until the answer is there. */
  async #follow(signal) {
    let places = { points: [], entries: [] };
    for await (const { event, data } of events("/v1/optimize/stream", { body: this.#request(), signal })) {
      if (event === "path") {
        byId("climb").value = data.step / data.of;
        this.paths.add(data.points);
      } else if (event === "places") {
        places = data;
        this.paths.end(data.entries.map((entry, i) => (entry === null ? data.points[i] : this.explorer.place(entry))));
      } else if (event === "problem") throw new Error(data.detail);
      else if (event === "answer") return { answer: data, places };
    }
    throw new Error("The service broke off before it answered.");
  }

  #request() {
    const { elements } = this.form;
    const number = (name) => Number(elements[name].value);
    const limited = ["params", "flops"].filter((name) => !elements[name].disabled && elements[name].value !== "");
    const { space, model } = this.explorer.whole;
    const plain = ["num_architectures", "seed", "num_starts", "num_steps"];
    return {
      space,
      model,
      constraints: limited.map((metric) => ({ metric, max: number(metric) })),
      ...Object.fromEntries(plain.map((name) => [name, number(name)])),
      ...(this.from.length ? { start_from: this.from } : {}),
      ...(elements.evaluator.value ? { evaluator: elements.evaluator.value } : {}),
    };
  }
}

const summary = ({ proposals, visited, elapsed_ms }) =>
  `${proposals.length} of ${visited} visited, in ${Math.round(elapsed_ms)} ms`;
