/** Values of Istio's charts: the user's, and what capabilities add to them. Pure. */

export type ChartValues = Readonly<Record<string, unknown>>;

/**
 * Adds values to the user's. Objects are merged, lists are joined with the user's entries first, and where
 * both give a plain value the user's stays.
 */
export function mergeValues(user: ChartValues, ...added: readonly ChartValues[]): ChartValues {
  return added.reduce((values, more) => merge(values, more) as ChartValues, user);
}

function merge(first: unknown, second: unknown): unknown {
  if (first === undefined) return second;
  if (Array.isArray(first) && Array.isArray(second)) return [...first, ...second];
  if (!isObject(first) || !isObject(second)) return first;
  const names = [...new Set([...Object.keys(first), ...Object.keys(second)])];
  return Object.fromEntries(names.map((name) => [name, merge(first[name], second[name])]));
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
