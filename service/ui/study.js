// One study: what it asks, how its best value grew, a turn of one's own, and its trials. Looked at again every few
// seconds.

import { get } from "./api.js";
import { dot, frame, line, span } from "./chart.js";
import { el, failure, figures, responsive } from "./dom.js";
import { exact, moment, value } from "./format.js";
import { absent, badge, pages, table } from "./lists.js";
import { turn } from "./turn.js";

const EVERY = 4000; // milliseconds
const PAGES = 20; // of trials
const HEIGHT = 240;

/** Fills a place with the study until the function that it returns is called. */
export function showStudy(place, id) {
  const path = `/v1/studies/${encodeURIComponent(id)}`;
  const [above, below] = [el("div", { class: "stack" }), el("div")]; // a look takes no focus from what is between
  let [timer, before, stopped] = [null, "", false];
  async function look() {
    clearTimeout(timer);
    try {
      const [study, { items }] = await Promise.all([get(path), pages(`${path}/trials?page_size=200`, PAGES)]);
      const now = JSON.stringify([study, items]);
      if (!stopped && now !== before) render(above, below, study, items);
      if (!stopped && !before) place.replaceChildren(back(), above, turn(study, look), below);
      before = now;
    } catch (error) {
      if (!stopped && !before) place.replaceChildren(back(), failure(new Error(absent(error, "such study"))));
    }
    if (!stopped) timer = setTimeout(look, EVERY);
  }
  look();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

const back = () => el("p", {}, el("a", { href: "#/studies" }, "← All studies"));

function render(above, below, study, trials) {
  const told = trials.filter(({ state }) => state === "done").sort((a, b) => a.number - b.number);
  const newest = trials.toSorted((a, b) => b.number - a.number);
  const [metric] = study.metrics;
  const better = (a, b) => (metric.direction === "max" ? a > b : a < b);
  const wins = (trial, top) => top === null || better(trial.values[0], top.values[0]);
  const best = told.reduce((top, trial) => (wins(trial, top) ? trial : top), null);
  const curve = el("div", { class: "plot" });
  const inside = el("div", {}, curve);
  responsive(curve, (width) => curve.replaceChildren(history(told, metric, better, width)));
  above.replaceChildren(el("div", { class: "panel" }, heading(study), facts(study, best, metric)));
  if (told.length) above.append(el("div", { class: "panel" }, el("h3", {}, `Best ${metric.name} so far`), inside));
  below.replaceChildren(el("div", { class: "panel" }, el("h3", {}, "Trials"), trialTable(newest, study)));
}

const heading = (study) => el("h2", {}, study.name || study.id);

function facts(study, best, metric) {
  const limits = study.limits.map((one) => `${one.metric} at most ${exact(one.max)}`).join(", ");
  const counts = Object.entries(study.counts).filter(([, count]) => count).map(([state, count]) => `${count} ${state}`);
  const rows = [
    ["Space", study.space],
    ["Strategy", study.strategy],
    ["Trials", counts.join(", ") || "none yet"],
    ["Budget", study.budget ? exact(study.budget) : "no end"],
    ["Limits", limits || "none"],
    ["Best", best ? `${metric.name} ${value(best.values[0])}, trial ${best.number}` : "–"],
    ["Opened", moment(study.created)],
    ["Id", study.id],
  ];
  return figures(rows, "flowing");
}

/** Every told value as a dot, and the best so far as a line. */
function history(told, metric, better, width) {
  const values = told.map((trial) => trial.values[0]);
  const numbers = told.map((trial) => trial.number);
  let best = values[0];
  const bests = values.map((one) => (best = better(one, best) ? one : best));
  const label = `${metric.name} of ${told.length} trials; the best is ${value(best)}`;
  const names = { xName: "trial", yName: metric.name, label };
  const axes = frame({ width, height: HEIGHT, x: span(numbers), y: span(values), ...names });
  axes.svg.append(line(bests.map((one, i) => [axes.x(numbers[i]), axes.y(one)]), { steps: true }));
  values.forEach((one, i) => axes.svg.append(dot([axes.x(numbers[i]), axes.y(one)], 2.5, "told")));
  return axes.svg;
}

function trialTable(trials, study) {
  if (!trials.length) return el("p", { class: "hint" }, "Nobody has asked yet.");
  const heads = ["Trial", "State", ...study.metrics.map(({ name }) => name), "Client", "Finished", "Architecture"];
  const rows = trials.map((trial) => [
    String(trial.number),
    badge(trial.state),
    ...study.metrics.map((_, i) => value(trial.values?.[i])),
    trial.client_id ?? "–",
    moment(trial.finished),
    el("code", {}, trial.architecture),
  ]);
  return table(heads, rows, "Trials");
}
