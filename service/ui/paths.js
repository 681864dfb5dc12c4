// Ascents on the map: a line from each start, drawn as far as it has been told, and the proposals they led to.

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A layer of the map. What comes in one burst is still shown step by step, one a frame. */
export class Paths {
  constructor(map) {
    this.map = map;
    this.clear();
    map.add(this);
  }

  clear() {
    Object.assign(this, { steps: [], shown: 0, proposals: [] });
    this.map.draw();
  }

  /** Where all ascents are after one more step. */
  add(points) {
    this.steps.push(points);
    if (calm()) this.shown = this.steps.length;
    this.map.draw();
  }

  /** Places of the proposals, the best first. */
  end(places) {
    this.proposals = places;
    this.map.draw();
  }

  paint(context, view, style) {
    if (this.shown < this.steps.length) {
      this.shown += 1;
      this.map.draw();
    }
    this.#lines(context, view, style);
    if (this.shown === this.steps.length) this.#marks(context, view, style);
  }

  #lines(context, view, style) {
    const seen = this.steps.slice(0, this.shown);
    if (!seen.length) return;
    const lines = seen[0].map((_, start) => seen.map((points) => view.pixel(...points[start])));
    for (const [paint, width, opacity] of [[style.ground, 3.2, 0.4], [style.accent, 1.3, 0.9]]) {
      Object.assign(context, { strokeStyle: paint, lineWidth: width, globalAlpha: opacity, lineJoin: "round" });
      context.beginPath();
      for (const line of lines) line.forEach(([px, py], i) => (i ? context.lineTo(px, py) : context.moveTo(px, py)));
      context.stroke();
    }
    Object.assign(context, { globalAlpha: 1, fillStyle: style.accent });
    for (const [[px, py]] of lines) disc(context, px, py, 3);
  }

  /** Rings around the proposals, numbered where they do not crowd each other. */
  #marks(context, view, style) {
    const taken = [];
    Object.assign(context, { font: "600 12px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    this.proposals.forEach(([x, y], i) => {
      const [px, py] = view.pixel(x, y);
      if (taken.some(([a, b]) => Math.hypot(a - px, b - py) < 15)) return;
      taken.push([px, py]);
      context.fillStyle = style.accent;
      disc(context, px, py, 9.5);
      context.fillStyle = style.ground;
      context.fillText(String(i + 1), px, py + 0.5);
    });
  }
}

function disc(context, px, py, radius) {
  context.beginPath();
  context.arc(px, py, radius, 0, 2 * Math.PI);
  context.fill();
}
