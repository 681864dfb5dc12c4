// Jobs: their list, looked at again while it is open, and one of them as it goes on.

import { once, post } from "./api.js";
import { byId, el, failure, say } from "./dom.js";
import { moment } from "./format.js";
import { cancelButton, finished, showJob } from "./job.js";
import { absent, badge, bar, moreButton, pages, table } from "./lists.js";

const EVERY = 3000; // milliseconds

export class Jobs {
  constructor() {
    Object.assign(this, { place: byId("jobs"), forms: byId("job-forms"), pages: 1, kind: "", state: "" });
    this.forms.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#start(event.target);
    });
  }

  /** Shows one job, or the list of all. */
  show(id) {
    this.hide();
    this.forms.hidden = Boolean(id);
    if (id) this.stop = showJob(this.place, id);
    else this.#list();
  }

  hide() {
    this.stop?.();
    clearTimeout(this.timer);
    Object.assign(this, { stop: null, body: null });
  }

  #list() {
    this.body = el("div");
    const filter = (name, words) => {
      const options = [el("option", { value: "" }, "all"), ...words.split(" ").map((word) => el("option", {}, word))];
      const choice = el("select", { onchange: () => this.#filter(name, choice.value) }, options);
      choice.value = this[name];
      return el("label", {}, `${name[0].toUpperCase()}${name.slice(1)} `, choice);
    };
    const tools = [
      filter("kind", "train search supernet evaluate optimize"),
      filter("state", "queued running succeeded failed cancelled"),
    ];
    this.place.replaceChildren(el("div", { class: "panel" }, el("div", { class: "tools" }, tools), this.body));
    this.#look();
  }

  #filter(name, chosen) {
    this[name] = chosen;
    clearTimeout(this.timer);
    this.#look();
  }

  async #look() {
    const { body } = this;
    const query = new URLSearchParams(["kind", "state"].filter((name) => this[name]).map((name) => [name, this[name]]));
    try {
      const { items, more } = await pages(`/v1/jobs?${query}`, this.pages);
      if (body === this.body) this.#fill(items, more);
    } catch (error) {
      this.forms.hidden = Boolean(error.status);
      body.replaceChildren(failure(new Error(absent(error, "jobs"))));
      if (error.status < 500) return; // asking again would not change it
    }
    if (body === this.body) this.timer = setTimeout(() => this.#look(), EVERY);
  }

  #fill(items, more) {
    const now = JSON.stringify(items);
    if (now === this.body.dataset.seen) return; // what has the focus keeps it
    this.body.dataset.seen = now;
    const heads = ["Job", "Kind", "State", "Progress", "Created", "Action"];
    const next = moreButton(more, () => this.#more());
    const list = items.length
      ? table(heads, items.map((job) => this.#row(job)), "Jobs")
      : el("p", { class: "hint" }, "No such job.");
    this.body.replaceChildren(list, next);
  }

  #more() {
    this.pages += 1;
    clearTimeout(this.timer);
    this.#look();
  }

  /** Starts a job of the form's kind and shows it; what was left open is the service's choice. */
  async #start(form) {
    const error = form.querySelector(".error");
    say(error, null);
    const { epochs, ...request } = Object.fromEntries([...new FormData(form)].filter(([, text]) => text !== ""));
    for (const name of ["seed", "labels"]) if (name in request) request[name] = Number(request[name]);
    const set = epochs ? [`epochs=${epochs}`] : [];
    try {
      // form.dataset would be the field of that name
      const job = await post("/v1/jobs", { kind: form.getAttribute("data-kind"), ...request, set }, once());
      location.hash = `#/jobs/${encodeURIComponent(job.id)}`;
    } catch (refused) {
      say(error, refused.message);
    }
  }

  #row(job) {
    const { done, total, message } = job.progress ?? { done: 0, total: null, message: "" };
    return [
      el("a", { href: `#/jobs/${encodeURIComponent(job.id)}` }, job.request?.name ?? job.id),
      job.kind,
      badge(job.state),
      el("span", {}, bar(done, total, `Progress of ${job.id}`), message ? ` ${message}` : ""),
      moment(job.created),
      finished(job.state) || job.cancelled ? "" : cancelButton(job, () => this.#filter("state", this.state)),
    ];
  }
}
