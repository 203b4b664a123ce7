/** Statistics for the benchmarks' tables. Pure. */

/** Measurements of one step, in seconds unless the table says otherwise, one for each round, in order. */
export interface Sample {
  byHand: number[];
  pulumi: number[];
}

export interface Summary {
  min: number;
  median: number;
  max: number;
}

/** @throws RangeError for no values at all. */
export function summarize(values: number[]): Summary {
  return { min: quantile(values, 0), median: quantile(values, 0.5), max: quantile(values, 1) };
}

/**
 * The quantile by linear interpolation between the two nearest values: the median of two is their mean, the
 * 0.99 of twenty is close to the greatest.
 *
 * @throws RangeError for no values at all.
 */
export function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = part * (sorted.length - 1);
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError("no values");
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * Pulumi's time divided by the script's: the median of each round's ratio. Only neighbours in time are
 * compared, so that a machine which slows down during the run does not change the result.
 */
export function pairedRatio({ byHand, pulumi }: Sample): number {
  return quantile(
    pulumi.slice(0, byHand.length).map((time, round) => time / (byHand[round] as number)),
    0.5,
  );
}
