/** Reads weights from the words of a command line, such as `v116=20 v117=80`. */
import type { Weights } from "../mesh/model.ts";
import { weightFaults } from "../mesh/weights.ts";

export interface ParsedWeights {
  /** Valid only where there are no faults. */
  weights: Record<string, number>;
  /** All faults, one line each. */
  faults: string[];
}

/**
 * Reads `version=percent` words and finds every fault at once.
 *
 * @param versions names of the versions, each of which needs a weight. @default any name is right
 */
export function parseWeights(words: string[], versions?: string[]): ParsedWeights {
  const given: Record<string, string> = {};
  const faults: string[] = [];
  for (const word of words) {
    const [, version, percent] = /^([^=]+)=(.*)$/.exec(word) ?? [];
    if (version === undefined || percent === undefined) {
      faults.push(`${word}: write version=percent, such as ${versions?.[0] ?? "v116"}=20`);
      continue;
    }
    if (Object.hasOwn(given, version)) faults.push(`${word}: ${version} is given twice`);
    given[version] = percent;
  }
  // Digits alone: Number() would also read 1e1, 0x10 and an empty word.
  const weights = Object.fromEntries(
    Object.entries(given).map(([version, percent]) => [
      version,
      /^\d+$/.test(percent) ? Number(percent) : Number.NaN,
    ]),
  );
  for (const { version, right } of weightFaults(weights, versions)) {
    if (version === undefined) faults.push(`${describe(weights)}: ${right}`);
    else faults.push(`${version}${Object.hasOwn(given, version) ? `=${given[version]}` : ""}: ${right}`);
  }
  return { weights, faults };
}

/** `{ v116: 20, v117: 80 }` as `v116=20 v117=80`: what {@link parseWeights} reads. */
function describe(weights: Weights): string {
  return Object.entries(weights)
    .map(([version, weight]) => `${version}=${weight}`)
    .join(" ");
}
