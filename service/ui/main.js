// The page: which of its parts is shown, and the key that the service may want.

import { key } from "./api.js";
import { showCards } from "./cards.js";
import { byId } from "./dom.js";
import { Explorer } from "./explorer.js";
import { Jobs } from "./jobs.js";
import { Optimise } from "./optimise.js";
import { Pareto } from "./pareto.js";
import { Paths } from "./paths.js";
import { Studies } from "./studies.js";

const explorer = new Explorer();
const views = { map: { show() {}, hide() {} }, studies: new Studies(), jobs: new Jobs() };

/** Shows the part that the address names: #/studies, #/jobs/ID. */
function route() {
  const [, name = "map", id] = location.hash.split("/");
  const shown = name in views ? name : "map";
  for (const [other, view] of Object.entries(views)) {
    byId(`view-${other}`).hidden = other !== shown;
    if (other !== shown) view.hide();
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${shown}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  views[shown].show(id && decodeURIComponent(id));
  document.title = shown === "map" ? "crlso" : `${byId(`${shown}-title`).textContent} · crlso`;
}

function wantKey() {
  byId("key-open").hidden = false;
  if (!byId("key").open) byId("key").showModal();
}

function useKey() {
  key.set(byId("key-form").elements.key.value.trim());
  byId("key-form").reset();
  byId("notice").hidden = true;
  if (!explorer.whole) explorer.start();
  route();
}

function connect() {
  const pareto = new Pareto(explorer);
  const optimise = new Optimise(explorer, new Paths(explorer.map));
  explorer.addEventListener("model", () => (byId("proposals").hidden = true));
  explorer.addEventListener("model", () => {
    byId("foot-model").textContent = `Model ${explorer.whole.model}, digest ${explorer.whole.digest.slice(0, 12)}`;
  });
  optimise.addEventListener("answer", ({ detail }) => {
    showCards(explorer, detail);
    const best = detail.places.entries[0];
    if (typeof best === "number") explorer.pick(best);
    pareto.show(detail.answer.proposals);
  });
  document.addEventListener("key-wanted", wantKey);
  byId("key-open").addEventListener("click", wantKey);
  byId("key-close").addEventListener("click", () => byId("key").close());
  byId("key-form").addEventListener("submit", useKey);
  addEventListener("hashchange", () => {
    route();
    byId("content").focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address names the part of the page
    byId("content").focus();
  });
}

connect();
route();
explorer.start();
