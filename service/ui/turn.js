// A turn of a study by hand: an architecture is asked for, trained somewhere, and what came of it is told here.

import { post, text } from "./api.js";
import { copyButton, el, say } from "./dom.js";
import { drawing } from "./drawing.js";

const WHO = "crlso-client";

/** The name under which this tab asks: when the page is loaded again it gets the same trial again. */
function client() {
  if (!sessionStorage.getItem(WHO)) {
    sessionStorage.setItem(WHO, `page-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`);
  }
  return sessionStorage.getItem(WHO);
}

/** A form for one trial after the other; `told` is called when one was told. */
export function turn(study, told) {
  const path = `/v1/studies/${encodeURIComponent(study.id)}`;
  const [shown, live] = [el("div"), el("span", { role: "status" })];
  const error = el("p", { class: "error", role: "alert", hidden: true });
  const ask = el("button", { type: "button", class: "main", onclick: () => attempt(asked) }, "Ask");
  const row = el("div", { class: "row" }, ask, live);
  const hint = el("p", { class: "hint" }, "Ask for an architecture, train it anywhere, and tell what came of it.");
  const form = el("form", { class: "panel", id: "turn" }, el("h3", {}, "A trial by hand"), hint, shown, row, error);

  async function attempt(step) {
    say(error, null);
    try {
      await step();
    } catch (refused) {
      say(error, refused.message);
    }
  }

  async function asked() {
    const { trials, end } = await post(`${path}/ask`, { client_id: client() });
    if (trials.length) await show(trials[0]);
    else live.textContent = `No trial: ${end}.`;
  }

  async function show({ number, architecture }) {
    const fields = study.metrics.map(() => el("input", { type: "number", step: "any", required: true }));
    const labels = study.metrics.map(({ name }, i) => el("label", {}, `${name} `, fields[i]));
    const query = new URLSearchParams({ architecture });
    const svg = await text(`/v1/spaces/${encodeURIComponent(study.space)}/drawing?${query}`);
    const failed = () => attempt(() => tell(number, { state: "failed" }));
    form.onsubmit = (event) => {
      event.preventDefault();
      attempt(() => tell(number, { values: fields.map((field) => Number(field.value)) }));
    };
    shown.replaceChildren(
      el("div", { class: "picture" }, drawing(svg, `Drawing of trial ${number}`)),
      el("p", { class: "notation" }, el("code", {}, architecture)),
      el("div", { class: "fields many" }, labels),
    );
    row.replaceChildren(
      el("button", { type: "submit", class: "main" }, "Tell"),
      el("button", { type: "button", class: "quiet", onclick: failed }, "It failed"),
      copyButton(architecture),
      live,
    );
    live.textContent = `Trial ${number}`;
    fields[0].focus();
  }

  async function tell(number, outcome) {
    await post(`${path}/tell`, { trial: number, ...outcome });
    shown.replaceChildren();
    row.replaceChildren(ask, live);
    live.textContent = `Trial ${number} is told.`;
    ask.focus();
    told();
  }

  return form;
}
