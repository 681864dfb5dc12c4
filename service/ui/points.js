// Points in the plane, and quickly the one nearest to a place: they lie in the boxes of a grid.

const BOXES = 96;

export class Points {
  constructor(x, y) {
    this.x = Float64Array.from(x);
    this.y = Float64Array.from(y);
    const farthest = (axis) => axis.reduce((most, one) => Math.max(most, Math.abs(one)), 1e-9);
    this.reach = 1.001 * Math.max(farthest(this.x), farthest(this.y));
    this.#sort();
  }

  get length() {
    return this.x.length;
  }

  /** The point nearest to a place, -1 where none is within the distance. */
  nearest(x, y, distance) {
    const [left, right] = [this.#box(x - distance), this.#box(x + distance)];
    const [low, high] = [this.#box(y - distance), this.#box(y + distance)];
    let [found, best] = [-1, distance * distance];
    for (let row = low; row <= high; row++) {
      const [from, to] = [this.first[row * BOXES + left], this.first[row * BOXES + right + 1]];
      for (let at = from; at < to; at++) {
        const point = this.sorted[at];
        const square = (this.x[point] - x) ** 2 + (this.y[point] - y) ** 2;
        if (square <= best) [found, best] = [point, square];
      }
    }
    return found;
  }

  #box(value) {
    return Math.min(BOXES - 1, Math.max(0, Math.floor(((value / this.reach + 1) / 2) * BOXES)));
  }

  #sort() {
    const boxes = Uint32Array.from(this.x, (x, i) => this.#box(this.y[i]) * BOXES + this.#box(x));
    this.first = new Uint32Array(BOXES * BOXES + 1);
    for (const box of boxes) this.first[box + 1]++;
    for (let box = 0; box < BOXES * BOXES; box++) this.first[box + 1] += this.first[box];
    const next = this.first.slice();
    this.sorted = new Uint32Array(this.length);
    boxes.forEach((box, point) => (this.sorted[next[box]++] = point));
  }
}
