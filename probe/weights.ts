/** Reads weights from the words of a command line, such as `v116=20 v117=80`. */

export interface ParsedWeights {
  weights: Record<string, number>;
  /** Everything that is wrong, one line each; empty when the weights can be used. */
  faults: string[];
}

/**
 * Reads `version=percent` words and finds every fault at once.
 *
 * @param known the versions there are, each of which needs a weight. @default any name is good
 */
export function parseWeights(words: string[], known?: string[]): ParsedWeights {
  const weights: Record<string, number> = {};
  const faults: string[] = [];
  for (const word of words) {
    const [, version, percent] = /^([^=]+)=(.*)$/.exec(word) ?? [];
    if (version === undefined || percent === undefined) {
      faults.push(`${word}: write version=percent, such as ${known?.[0] ?? "v116"}=20`);
      continue;
    }
    if (known && !known.includes(version)) {
      faults.push(`${word}: there is no version ${version}; the versions are ${known.join(", ")}`);
    }
    if (!/^\d+$/.test(percent) || Number(percent) > 100) {
      faults.push(`${word}: a weight is a whole number from 0 to 100`);
    }
    if (Object.hasOwn(weights, version)) faults.push(`${word}: ${version} is given twice`);
    weights[version] = Number(percent);
  }
  const missing = known?.filter((version) => !Object.hasOwn(weights, version)) ?? [];
  if (missing.length > 0) faults.push(missingFault(missing, weights, faults.length === 0));
  const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
  if (missing.length === 0 && Number.isInteger(sum) && sum !== 100) {
    faults.push(`${describe(weights)}: the weights sum to ${sum}; they have to sum to 100`);
  }
  return { weights, faults };
}

/** Names the versions without a weight, and, where only one is missing, the line that was probably meant. */
function missingFault(missing: string[], weights: Record<string, number>, restIsGood: boolean): string {
  const fault = `${missing.join(", ")}: every version needs a weight`;
  const rest = 100 - Object.values(weights).reduce((total, weight) => total + weight, 0);
  const [only] = missing;
  if (only === undefined || missing.length > 1 || !restIsGood || rest < 0) return fault;
  return `${fault}; did you mean ${describe({ ...weights, [only]: rest })}?`;
}

/** `{ v116: 20, v117: 80 }` as `v116=20 v117=80`: what {@link parseWeights} reads. */
export function describe(weights: Record<string, number>): string {
  return Object.entries(weights)
    .map(([version, weight]) => `${version}=${weight}`)
    .join(" ");
}
