// What pointers, the wheel and keys do to a map: one finger or the mouse pans, two fingers or the wheel zoom.

const STEP = 60; // pixels that an arrow key pans
const STRIDE = 1.4; // by which a key zooms
const TAP = 5; // pixels that a click may slip

export class Gestures {
  constructor(canvas, map) {
    Object.assign(this, { canvas, map, down: new Map(), slipped: 0 });
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.#release(event));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.slipped = this.down.size > 1 ? Infinity : 0;
  }

  #move(event) {
    const before = this.down.get(event.pointerId);
    if (!before) return this.map.hoverAt(event.offsetX, event.offsetY);
    const now = [event.offsetX, event.offsetY];
    const other = [...this.down].find(([id]) => id !== event.pointerId)?.[1];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    this.slipped += Math.hypot(dx, dy);
    if (other) {
      const apart = (place) => Math.max(10, Math.hypot(place[0] - other[0], place[1] - other[1]));
      this.map.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      this.map.pan(dx / 2, dy / 2);
    } else this.map.pan(dx, dy);
    this.down.set(event.pointerId, now);
  }

  #release(event) {
    if (!this.down.delete(event.pointerId)) return;
    if (event.type === "pointerup" && this.slipped < TAP) this.map.pickAt(event.offsetX, event.offsetY);
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.map.zoom(Math.exp(-0.0016 * event.deltaY * lines), event.offsetX, event.offsetY);
  }

  #key(event) {
    const { map } = this;
    const does = {
      ArrowLeft: () => map.pan(STEP, 0),
      ArrowRight: () => map.pan(-STEP, 0),
      ArrowUp: () => map.pan(0, STEP),
      ArrowDown: () => map.pan(0, -STEP),
      "+": () => map.zoom(STRIDE),
      "=": () => map.zoom(STRIDE),
      "-": () => map.zoom(1 / STRIDE),
      0: () => map.showAll(),
      n: () => map.walk(-1),
      p: () => map.walk(1),
      Home: () => map.walk(0),
      Enter: () => map.pickAt(map.view.width / 2, map.view.height / 2),
    }[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    does();
  }
}
