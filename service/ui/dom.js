// Elements from data. Text is only ever set as text, so nothing that an answer holds is read as markup.

/** An element with attributes, listeners (`onclick: f`) and children, which are elements or texts. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** The same in the SVG namespace. */
export function svgEl(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, attributes);
  element.append(...children);
  return element;
}

function fill(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
}

export const byId = (id) => document.getElementById(id);

/** Shows a text, or hides its element when there is none. */
export function say(element, text) {
  element.textContent = text ?? "";
  element.hidden = !text;
}

/** What is wrong, where a list or a drawing would have been. */
export const failure = (error) => el("p", { class: "error", role: "alert" }, error.message);

/** Calls `draw(width)` now and whenever the element's width changes, until the element has other contents. */
export function responsive(container, draw) {
  let width = 0;
  const observer = new ResizeObserver(() => {
    const now = Math.round(container.clientWidth);
    if (!now || now === width) return;
    width = now;
    draw(width);
  });
  observer.observe(container);
  return () => observer.disconnect();
}

/** Names and what belongs to them, in columns or, where texts are long, one after the other. */
export function figures(rows, kind = "columns") {
  const pairs = rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)));
  return el("dl", { class: `figures ${kind}` }, pairs);
}

/** A button that copies a notation and says that it did. */
export function copyButton(text) {
  const button = el("button", { type: "button", class: "quiet", "aria-label": "Copy notation" }, "Copy");
  const name = (label, shown) => {
    button.setAttribute("aria-label", label);
    button.textContent = shown;
  };
  button.addEventListener("click", async () => {
    await copy(text);
    name("Copied the notation", "Copied");
    setTimeout(() => name("Copy notation", "Copy"), 1500);
  });
  return button;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { class: "unseen" }); // pages that are not served over TLS have no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
