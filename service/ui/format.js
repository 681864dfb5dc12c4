// Numbers and times as people read them.

/** Two decimals or what a small number needs, and the unit. */
export function value(number, unit = "") {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  const digits = Math.abs(number) >= 1 || number === 0 ? number.toFixed(2) : number.toPrecision(3);
  return unit === "percent" ? `${digits} %` : unit ? `${digits} ${unit}` : digits;
}

/** How much the members of the ensemble disagree. */
export const deviation = (std) => `± ${std.toFixed(2)}`;

/** A count in thousands, millions or billions, three digits. */
export function count(number) {
  if (number === null || number === undefined) return "–";
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(number) >= size) return `${Number((number / size).toPrecision(3))} ${letter}`;
  }
  return String(Number(number.toPrecision(4)));
}

/** All digits, grouped. */
export const exact = (number) => (number === null || number === undefined ? "–" : number.toLocaleString("en"));

/** A moment as the reader's clock has it. */
export function moment(iso) {
  return iso ? new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "–";
}
