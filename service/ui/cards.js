// Proposals as cards, in the order of the answer.

import { download } from "./api.js";
import { byId, copyButton, el, figures, say } from "./dom.js";
import { drawing } from "./drawing.js";
import { count, deviation, exact, value } from "./format.js";

/** Shows what an answer proposes; `entries` are the proposals' numbers on the map, null where it has none. */
export function showCards(explorer, { answer, places }) {
  byId("proposals").hidden = false;
  const { certificate, unit, metric } = answer;
  byId("proposals-lead").textContent =
    `Best first by predicted ${metric.replaceAll("_", " ")}. Anywhere in the latent ball the surrogate reaches at ` +
    `most ${value(certificate.bound, unit)}; the ascent came to ${value(certificate.value, unit)}.`;
  const cards = answer.proposals.map((proposal, i) => card(explorer, answer, proposal, i, places.entries[i] ?? null));
  byId("cards").replaceChildren(...cards);
}

function card(explorer, answer, proposal, i, entry) {
  const number = el("span", { class: "number" }, String(i + 1));
  const head = el("h3", {}, number, value(proposal.predicted.mean, answer.unit), spread(proposal));
  const fault = el("p", { class: "error", role: "alert", hidden: true });
  return el(
    "li",
    { class: "panel card" },
    head,
    el("div", { class: "picture" }, drawing(proposal.svg, `Drawing of proposal ${i + 1}`)),
    figures(rows(explorer, answer, proposal)),
    el("p", { class: "notation" }, el("code", {}, proposal.architecture)),
    el("div", { class: "row" }, buttons(explorer, answer.space, proposal, i, entry, fault)),
    fault,
  );
}

const spread = ({ predicted }) => el("small", {}, ` ${deviation(predicted.std)} predicted`);

function rows(explorer, answer, proposal) {
  const rank = explorer.rank(proposal.measured);
  const of = explorer.measured.order.length;
  const all = [
    ["Measured", value(proposal.measured, answer.unit)],
    ["True rank", rank === null ? "–" : `${exact(rank)} of ${exact(of)}`],
    ["Params", exact(proposal.params)],
    ["FLOPs", count(proposal.flops)],
    ["At latent", value(proposal.at_latent.value, answer.unit)],
  ];
  if (proposal.evaluated) all.push(["Supernet", value(proposal.evaluated.accuracy, "percent")]);
  return all;
}

function buttons(explorer, space, proposal, i, entry, fault) {
  const all = [copyButton(proposal.architecture)];
  for (const [format, name, ending] of [["onnx", "ONNX", "onnx"], ["python", "Python", "py"]]) {
    const save = () => saveAs(space, proposal.architecture, format, `${space}-${i + 1}.${ending}`, fault);
    all.push(button(name, `Download as ${name}`, save));
  }
  if (entry !== null) {
    const show = () => {
      explorer.pick(entry);
      byId("map").focus();
    };
    all.push(button("Map", "Show on the map", show));
  }
  return all;
}

const button = (shown, name, onclick) =>
  el("button", { type: "button", class: "quiet", "aria-label": name, onclick }, shown);

async function saveAs(space, text, format, name, fault) {
  say(fault, null);
  try {
    const query = new URLSearchParams({ architecture: text, format });
    await download(`/v1/spaces/${encodeURIComponent(space)}/export?${query}`, name);
  } catch (error) {
    say(fault, error.message);
  }
}
