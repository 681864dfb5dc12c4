// Drawings of architectures: SVG texts of the service, of which only shapes and words are let into the page.

const ELEMENTS = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "title"]);
const ATTRIBUTES = new Set(
  (
    "viewBox width height role font-family font-size font-weight text-anchor d fill stroke stroke-width " +
    "stroke-linecap stroke-linejoin stroke-opacity opacity x y dy rx cx cy r x1 y1 x2 y2 transform"
  ).split(" "),
);

/** The drawing as an element; an empty one where the text is no SVG. */
export function drawing(text, label) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const safe = root.localName === "svg" ? clean(root) : document.createElementNS(SVG, "svg");
  safe.classList.add("drawing");
  safe.setAttribute("aria-label", label);
  safe.setAttribute("role", "img");
  return safe;
}

const SVG = "http://www.w3.org/2000/svg";

/** A copy of what is allowed: made anew, so that nothing else can come along. */
function clean(node) {
  const copy = document.createElementNS(SVG, node.localName);
  for (const { name, value } of node.attributes) if (ATTRIBUTES.has(name)) copy.setAttribute(name, value);
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) copy.append(child.data);
    else if (child.nodeType === Node.ELEMENT_NODE && ELEMENTS.has(child.localName)) copy.append(clean(child));
  }
  return copy;
}
