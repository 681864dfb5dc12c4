// One job as it goes on: its events are followed from the first, and again from the last one seen when the line breaks.

import { events, get, post } from "./api.js";
import { el, failure, figures } from "./dom.js";
import { moment } from "./format.js";
import { absent, badge } from "./lists.js";
import { Traces } from "./traces.js";

const AGAIN = 2000; // milliseconds until a broken line is tried again
const LINES = 300; // of the log

/** Fills a place with the job until the function that it returns is called. */
export function showJob(place, id) {
  const control = new AbortController();
  new JobView(place, id, control.signal).start();
  return () => control.abort();
}

export const finished = (state) => ["succeeded", "failed", "cancelled"].includes(state);

/** A button that cancels a job and then calls back with what has become of it. */
export function cancelButton(job, then) {
  const fault = el("span", { class: "error", role: "alert" });
  const button = el("button", { type: "button", class: "quiet", "aria-label": `Cancel ${job.id}` }, "Cancel");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      then(await post(`/v1/jobs/${encodeURIComponent(job.id)}/cancel`, {}));
    } catch (error) {
      button.disabled = false;
      fault.textContent = error.message;
    }
  });
  return el("span", {}, button, fault);
}

class JobView {
  constructor(place, id, signal) {
    Object.assign(this, { place, id, signal, lastId: null, traces: new Traces(), lines: [] });
  }

  async start() {
    const back = el("p", {}, el("a", { href: "#/jobs" }, "← All jobs"));
    try {
      this.job = await get(this.#path);
      if (this.signal.aborted) return;
      this.#build(back);
      await this.#follow();
    } catch (error) {
      if (this.signal.aborted) return;
      this.place.replaceChildren(back, failure(new Error(absent(error, "such job"))));
    }
  }

  #build(back) {
    this.state = el("span", { role: "status" });
    this.progress = el("progress", { max: 1, "aria-label": "Progress" });
    this.message = el("span");
    this.cancel = el("span");
    this.facts = el("div");
    this.log = el("pre", { class: "log", tabindex: "0", role: "log", "aria-label": "Log", hidden: true });
    this.result = el("div");
    const name = this.job.request?.name ?? this.job.id;
    const head = el("div", { class: "row" }, this.state, this.progress, this.message, this.cancel);
    const panel = el("div", { class: "panel" }, el("h2", {}, `${this.job.kind}: ${name}`), head, this.facts);
    this.place.replaceChildren(back, panel, this.traces.element, this.result, this.log);
    this.#show();
  }

  /** Follows the events until the job has ended. */
  async #follow() {
    while (!this.signal.aborted) {
      try {
        for await (const event of events(`${this.#path}/events`, { lastId: this.lastId, signal: this.signal })) {
          this.lastId = event.id ?? this.lastId;
          this.#take(event);
        }
        this.job = await get(this.#path);
        this.#show();
      } catch (error) {
        if (this.signal.aborted || error.status) throw error;
      }
      if (finished(this.job.state)) return this.#end();
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  get #path() {
    return `/v1/jobs/${encodeURIComponent(this.id)}`;
  }

  #take({ event, data }) {
    if (event === "state") Object.assign(this.job, data);
    else if (event === "progress") {
      this.job.progress = data;
      this.traces.add(data);
    } else if (event === "log") this.#write(data.line);
    this.#show();
  }

  #write(text) {
    this.lines = [...this.lines, text].slice(-LINES);
    this.log.hidden = false;
    const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 20;
    this.log.textContent = this.lines.join("\n");
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #show() {
    const { job } = this;
    if (this.state.textContent !== job.state) this.state.replaceChildren(badge(job.state));
    const { done, total, message } = job.progress ?? {};
    this.progress.hidden = !total;
    if (total) this.progress.value = done / total;
    this.message.textContent = [total ? `${done} of ${total}` : "", message].filter(Boolean).join(" · ");
    if (job.cancelled && !finished(job.state)) this.message.append(" · ends as soon as its worker notices");
    const open = !finished(job.state) && !job.cancelled;
    if (open && !this.cancel.hasChildNodes()) this.cancel.append(cancelButton(job, (now) => this.#became(now)));
    if (!open) this.cancel.replaceChildren();
    const rows = [
      ["Created", moment(job.created)],
      ["Started", moment(job.started)],
      ["Finished", moment(job.finished)],
      ["Attempts", String(job.attempt)],
      ["Id", job.id],
    ];
    this.facts.replaceChildren(figures(rows, "flowing"));
  }

  #became(job) {
    this.job = job;
    this.#show();
  }

  async #end() {
    const { job } = this;
    if (job.error) this.result.replaceChildren(el("p", { class: "error", role: "alert" }, job.error));
    if (job.state !== "succeeded") return;
    const result = await get(`${this.#path}/result`);
    const text = el("pre", { class: "log", tabindex: "0", "aria-label": "Result" }, JSON.stringify(result, null, 2));
    this.result.replaceChildren(el("details", { class: "panel" }, el("summary", {}, "Result"), text));
  }
}
