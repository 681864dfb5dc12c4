// The points as a bitmap: drawn once for a zoom level with some room around the screen, then only shifted.
//
// Fifteen thousand discs take longer than a frame may; copying a picture of them does not.

import { SHADES, colour } from "./scale.js";

const ROOM = 1.5; // times the screen's width and height

export class Cloud {
  constructor() {
    this.bitmap = document.createElement("canvas");
    this.drawn = null;
  }

  /** Points, the shade of each, and in which order to draw: what comes last lies on top. */
  show(points, shades) {
    const buckets = Array.from({ length: SHADES + 1 }, () => []);
    shades.forEach((shade, point) => buckets[shade + 1].push(point));
    Object.assign(this, { points, buckets });
    this.refresh();
  }

  /** Draw anew, as the colours have changed. */
  refresh() {
    this.drawn = null;
  }

  /** Paints the points as the viewport sees them; says whether the picture was stretched and is to be renewed. */
  paint(context, view, ratio, moving) {
    if (!this.points) return false;
    if (!this.#covers(view, ratio) || (this.drawn.scale !== view.scale && !moving)) this.#draw(view, ratio);
    const { drawn, bitmap } = this;
    const factor = view.scale / drawn.scale;
    const [width, height] = [(bitmap.width / ratio) * factor, (bitmap.height / ratio) * factor];
    const [px, py] = view.pixel(drawn.x, drawn.y);
    const snap = (pixel) => Math.round(pixel * ratio) / ratio; // whole pixels are copied, others would be blurred
    context.drawImage(bitmap, snap(px - width / 2), snap(py - height / 2), width, height);
    return factor !== 1;
  }

  /** Whether the bitmap reaches over the whole screen, or over all points. */
  #covers(view, ratio) {
    const { drawn, bitmap } = this;
    if (!drawn || drawn.ratio !== ratio || drawn.width !== view.width || drawn.height !== view.height) return false;
    if (drawn.scale / view.scale > 4 || view.scale / drawn.scale > 4) return false;
    const far = (middle, size, screen) => Math.abs(middle) + screen / view.scale / 2 > size / ratio / drawn.scale / 2;
    const outside =
      far(view.x - drawn.x, bitmap.width, view.width) || far(view.y - drawn.y, bitmap.height, view.height);
    return !outside || drawn.whole;
  }

  #draw(view, ratio) {
    const { bitmap, points } = this;
    const [width, height] = [Math.round(view.width * ROOM), Math.round(view.height * ROOM)];
    Object.assign(bitmap, { width: width * ratio, height: height * ratio });
    const context = bitmap.getContext("2d");
    const radius = dotRadius(view);
    const [reachX, reachY] = [width / 2 / view.scale, height / 2 / view.scale];
    const whole = reachX > points.reach + Math.abs(view.x) && reachY > points.reach + Math.abs(view.y);
    this.drawn = { x: view.x, y: view.y, scale: view.scale, width: view.width, height: view.height, ratio, whole };
    this.buckets.forEach((bucket, shade) => {
      const disc = stamp(shade ? colour((shade - 1) / (SHADES - 1)) : "rgb(128 128 128 / 50%)", radius, ratio);
      const half = disc.width / 2;
      for (const point of bucket) {
        const [dx, dy] = [points.x[point] - view.x, points.y[point] - view.y];
        if (Math.abs(dx) > reachX || Math.abs(dy) > reachY) continue;
        const [px, py] = [(width / 2 + dx * view.scale) * ratio, (height / 2 - dy * view.scale) * ratio];
        context.drawImage(disc, Math.round(px - half), Math.round(py - half));
      }
    });
  }
}

/** Points grow a little where there is more room for each. */
export const dotRadius = (view) =>
  Math.min(7, Math.max(1.1, 1.1 * Math.sqrt(view.whole / 200)) * (view.scale / view.whole) ** 0.42);

/** One disc, to be copied to every point of its colour. */
function stamp(paint, radius, ratio) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 2 * Math.ceil(radius * ratio) + 2;
  const context = canvas.getContext("2d");
  context.fillStyle = paint;
  context.beginPath();
  context.arc(canvas.width / 2, canvas.width / 2, radius * ratio, 0, 2 * Math.PI);
  context.fill();
  return canvas;
}
