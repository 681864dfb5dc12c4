// Lists of the service that come in pages, as tables with a button for more.

import { get } from "./api.js";
import { el } from "./dom.js";

/** What to say where a path does not exist: older services, or ones that leave a part out. */
export const absent = (error, what) =>
  error.status === 404 || error.status === 405 ? `This service offers no ${what}.` : error.message;

/** A table with a row of cells for each item. */
export function table(heads, rows, caption) {
  const head = el("thead", {}, el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text))));
  const body = el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))));
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table of ${caption.toLowerCase()}` },
    el("table", {}, el("caption", { class: "unseen" }, caption), head, body),
  );
}

/** The first items of a list, and as many pages more as were asked for. */
export async function pages(path, count) {
  const items = [];
  let token = null;
  for (let page = 0; page < count && (page === 0 || token); page++) {
    const query = token ? `${path.includes("?") ? "&" : "?"}page_token=${encodeURIComponent(token)}` : "";
    const found = await get(path + query);
    items.push(...found.items);
    token = found.next_page_token;
  }
  return { items, more: Boolean(token) };
}

/** The button at the end of a list that goes on. */
export const moreButton = (more, onclick) =>
  el("button", { type: "button", class: "quiet", hidden: !more, onclick }, "Show more");

/** A badge for a state: its word, and a colour beside it. */
export const badge = (state) => el("span", { class: `badge ${state}` }, state);

/** How far something is. */
export function bar(done, total, label) {
  if (!total) return el("span", {}, done ? String(done) : "–");
  const progress = el("progress", { max: total, value: done, "aria-label": label });
  return el("span", { class: "progress" }, progress, el("span", {}, `${done} / ${total}`));
}
