/** Quantities of Kubernetes, e.g. `500m` cores or `64Mi`, as numbers. Pure. */

const DECIMAL = ["k", "M", "G", "T", "P", "E"].map((unit, index) => [unit, 1000 ** (index + 1)] as const);
const BINARY = DECIMAL.map(([unit], index) => [`${unit.toUpperCase()}i`, 1024 ** (index + 1)] as const);

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["n", 1e-9],
  ["u", 1e-6],
  ["m", 1e-3],
  ...DECIMAL,
  ...BINARY,
]);

/** The number; NaN for a text that is no quantity. */
export function amountOf(quantity: string | number): number {
  const [, digits = "", unit = ""] =
    /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)$/.exec(String(quantity)) ?? [];
  return digits === "" ? Number.NaN : Number(digits) * (UNITS.get(unit) ?? Number.NaN);
}
