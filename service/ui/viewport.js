// Which part of the plane is seen: a place in the middle of the screen, and pixels for a unit of length.

const [CLOSEST, FARTHEST] = [600, 0.7]; // times the scale at which the whole disc fits
const MARGIN = 1.14; // of the disc, when all is shown

export class Viewport {
  constructor() {
    Object.assign(this, { x: 0, y: 0, scale: 1, width: 1, height: 1 });
  }

  /** Keeps what is in the middle where it is. */
  resize(width, height) {
    const factor = this.fit ? Math.min(width, height) / Math.min(this.width, this.height) : 1;
    Object.assign(this, { width, height, scale: this.scale * factor });
    if (!this.fit) this.showAll();
  }

  showAll() {
    Object.assign(this, { x: 0, y: 0, fit: true, scale: this.whole });
  }

  get whole() {
    return Math.min(this.width, this.height) / 2 / MARGIN;
  }

  pan(dx, dy) {
    const keep = (place) => Math.min(1.2, Math.max(-1.2, place));
    this.x = keep(this.x - dx / this.scale);
    this.y = keep(this.y + dy / this.scale);
  }

  /** What is at a pixel stays there. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.place(px, py);
    this.scale = Math.min(CLOSEST * this.whole, Math.max(FARTHEST * this.whole, this.scale * factor));
    const [nx, ny] = this.place(px, py);
    this.x += x - nx;
    this.y += y - ny;
  }

  /** The pixel of a place. */
  pixel(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  /** The place of a pixel. */
  place(px, py) {
    return [this.x + (px - this.width / 2) / this.scale, this.y - (py - this.height / 2) / this.scale];
  }

  /** Moves so that a place is not at the edge. */
  reveal(x, y) {
    const [px, py] = this.pixel(x, y);
    const edge = 0.1 * Math.min(this.width, this.height);
    if (px < edge || py < edge || px > this.width - edge || py > this.height - edge) Object.assign(this, { x, y });
  }
}
