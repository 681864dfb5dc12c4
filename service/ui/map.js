// The latent map on a canvas: the cloud of points, ascents and proposals above it, and hands and keys that move it.

import { Cloud, dotRadius } from "./cloud.js";
import { Gestures } from "./gestures.js";
import { Viewport } from "./viewport.js";

const NEAR = 14; // pixels from which a point is under the cursor
const STILL = 120; // milliseconds without zooming after which the cloud is drawn anew

export class LatentMap extends EventTarget {
  /** Tells `hover` and `pick` with the number of a point, -1 for none, and `walk` with 1, -1 or 0 for the best. */
  constructor(canvas) {
    super();
    Object.assign(this, { canvas, view: new Viewport(), cloud: new Cloud(), layers: [], hovered: -1, selected: -1 });
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.#resize()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#recolour());
    new Gestures(canvas, this);
    canvas.addEventListener("pointerleave", () => this.#hover(-1));
    this.#recolour();
  }

  show(points, shades) {
    this.points = points;
    this.cloud.show(points, shades);
    this.draw();
  }

  /** Something to paint above the points: has `paint(context, view, style)`. */
  add(layer) {
    this.layers.push(layer);
  }

  select(point) {
    this.selected = point;
    if (point >= 0) this.view.reveal(this.points.x[point], this.points.y[point]);
    this.draw();
  }

  pan(dx, dy) {
    this.view.pan(dx, dy);
    this.draw();
  }

  zoom(factor, px, py) {
    this.view.zoom(factor, px, py);
    this.moving = true;
    clearTimeout(this.settle);
    this.settle = setTimeout(() => this.#settled(), STILL);
    this.draw();
  }

  showAll() {
    this.view.showAll();
    this.draw();
  }

  walk(step) {
    this.#tell("walk", step);
  }

  hoverAt(px, py) {
    this.#hover(this.#pointAt(px, py));
  }

  pickAt(px, py) {
    this.#tell("pick", this.#pointAt(px, py));
  }

  /** Paints at the next frame, however often it is asked for. */
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#paint();
    });
  }

  #pointAt(px, py) {
    const [x, y] = this.view.place(px, py);
    return this.points ? this.points.nearest(x, y, NEAR / this.view.scale) : -1;
  }

  #hover(point) {
    if (point === this.hovered) return;
    this.hovered = point;
    this.canvas.classList.toggle("pointing", point >= 0);
    this.#tell("hover", point);
    this.draw();
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  #settled() {
    this.moving = false;
    this.draw();
  }

  #resize() {
    this.ratio = Math.min(2, devicePixelRatio || 1);
    const { width: room, top, left } = this.canvas.parentElement.getBoundingClientRect();
    const [width, height] = [Math.floor(room), this.canvas.clientHeight];
    if (!width || !height) return;
    this.canvas.style.width = `${width}px`; // whole pixels, or every dot would be blurred
    this.canvas.style.translate = [left + scrollX, top + scrollY].map((at) => `${Math.ceil(at) - at}px`).join(" ");
    Object.assign(this.canvas, { width: Math.round(width * this.ratio), height: Math.round(height * this.ratio) });
    this.view.resize(width, height);
    this.#paint(); // at once, as the canvas is empty now
  }

  #recolour() {
    const style = getComputedStyle(this.canvas);
    const read = (name) => style.getPropertyValue(name).trim();
    this.style = { ink: read("--ink"), accent: read("--accent"), ground: read("--stage"), faint: read("--line") };
    this.cloud.refresh();
    this.draw();
  }

  #paint() {
    const { context, view, style, ratio } = this;
    if (!ratio) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    this.#rings();
    this.cloud.paint(context, view, ratio, this.moving);
    for (const layer of this.layers) layer.paint(context, view, style);
    this.#mark(this.hovered, 1.5);
    this.#mark(this.selected, 2.5);
  }

  /** Circles that hold a hundredth, a tenth, a half and all of the architectures. */
  #rings() {
    const { context, view, style } = this;
    const [px, py] = view.pixel(0, 0);
    Object.assign(context, { strokeStyle: style.faint, lineWidth: 1 });
    for (const share of [0.0001, 0.01, 0.1, 0.5, 1]) {
      context.beginPath();
      context.arc(px, py, Math.sqrt(share) * view.scale, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  #mark(point, width) {
    if (point < 0 || !this.points || point >= this.points.length) return;
    const { context, view, style } = this;
    const [px, py] = view.pixel(this.points.x[point], this.points.y[point]);
    for (const [paint, wide] of [[style.ground, width + 3], [style.ink, width]]) {
      Object.assign(context, { strokeStyle: paint, lineWidth: wide });
      context.beginPath();
      context.arc(px, py, dotRadius(view) + 4, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}
