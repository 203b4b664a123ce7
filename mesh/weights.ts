/** The rule for weights, in one wording for the configuration and the command line. */
import { didYouMean } from "../settings/faults.ts";
import type { Weights } from "./model.ts";

/** A fault in weights. */
export interface WeightFault {
  /** The version at fault. @default the weights as a whole */
  readonly version?: string | undefined;
  /** What would be right. */
  readonly right: string;
}

/**
 * The faults of weights, which have to name exactly the versions, be integers from 0 to 100, and sum to 100.
 * @param versions names of the versions. @default any name is right
 */
export function weightFaults(
  weights: Readonly<Record<string, unknown>>,
  versions: readonly string[] = Object.keys(weights),
): WeightFault[] {
  const named = Object.keys(weights);
  const unknown = named.filter((name) => !versions.includes(name));
  const missing = versions.filter((name) => !Object.hasOwn(weights, name));
  const bad = named.filter((name) => !isPercent(weights[name]));
  const sum = bad.length > 0 ? undefined : sumOf(weights as Weights);
  const rest = missing.length === 1 && unknown.length === 0 && sum !== undefined ? 100 - sum : -1;
  return [
    ...unknown.map((version) => ({
      version,
      right: `no such version${didYouMean(version, versions)}; the versions are ${versions.join(", ")}`,
    })),
    ...missing.map((version) => ({
      version,
      right:
        `give ${version} an integer percent; ` +
        `0 is legal${rest >= 0 ? `, ${rest} makes the sum 100` : ""}`,
    })),
    ...bad.map((version) => ({ version, right: "give an integer percent from 0 to 100" })),
    ...(sum === undefined || sum === 100 || missing.length > 0
      ? []
      : [{ right: `the sum is ${sum}; give percents that sum to 100` }]),
  ];
}

export const sumOf = (weights: Weights) => Object.values(weights).reduce((sum, weight) => sum + weight, 0);

const isPercent = (value: unknown) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 100;
