// Colours of values: viridis, which is ordered in lightness and safe for the colour-blind, by rank.
//
// Accuracies have a long lower tail: coloured by value, all architectures worth a look would have one colour. By rank,
// every colour is worn by as many of them, but then the best hundredth has one. The scale goes by rank and, to
// a third, by its logarithm. On a light page it is turned round, so that the best stand out.

const VIRIDIS = [
  "440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725",
].map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));

/** How many colours a map is drawn in. */
export const SHADES = 40;

const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** The colour of a share between 0, the worst, and 1, the best. */
export function colour(share) {
  const place = (dark() ? 0.08 + 0.92 * share : 0.94 * (1 - share)) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const mixed = VIRIDIS[below].map((from, i) => Math.round(from + (place - below) * (VIRIDIS[below + 1][i] - from)));
  return `rgb(${mixed.join(" ")})`;
}

export class Scale {
  /** Of numbers, null where unknown; sign is -1 where less is better. */
  constructor(values, sign) {
    this.values = values;
    this.sign = sign;
    this.order = [...values.keys()].filter((i) => values[i] !== null).sort((a, b) => sign * (values[b] - values[a]));
  }

  /** Which shade each entry has: 0 is the worst, -1 where there is no value. */
  shades() {
    const shades = new Int8Array(this.values.length).fill(-1);
    this.order.forEach((entry, rank) => (shades[entry] = Math.round(this.#height(rank) * (SHADES - 1))));
    return shades;
  }

  /** The value at a height of the scale, from 0 to 1. */
  tick(height) {
    let [low, high] = [0, this.order.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#height(middle) > height) low = middle + 1;
      else high = middle;
    }
    return this.values[this.order[low]];
  }

  /** 1 for the best, 0 for the worst. */
  #height(rank) {
    const last = Math.max(1, this.order.length - 1);
    return 1 - (2 * (rank / last) + Math.log1p(rank) / Math.log1p(last)) / 3;
  }

  /** The value that a share of the entries does not reach. */
  at(share) {
    return this.values[this.order[Math.round((1 - share) * (this.order.length - 1))]];
  }

  /** How many have a better value, and one more. */
  rank(value) {
    let [low, high] = [0, this.order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sign * this.values[this.order[middle]] > this.sign * value) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  }
}
