/** Percentiles of times to answer that are counted in buckets, as Prometheus counts them. Pure. */

/** Upper bound in milliseconds to the answers up to it, in ascending order; the last bound is infinite. */
export type Histogram = readonly Bucket[];

export interface Bucket {
  /** Null for infinity, which JSON does not have. */
  readonly upTo: number | null;
  readonly count: number;
}

/** The answers of several servers together. */
export function added(servers: readonly { readonly times?: Histogram | undefined }[]): Histogram {
  const counts = new Map<number | null, number>();
  for (const { upTo, count } of servers.flatMap(({ times = [] }) => times))
    counts.set(upTo, (counts.get(upTo) ?? 0) + count);
  return [...counts].map(([upTo, count]) => ({ upTo, count })).sort((a, b) => bound(a) - bound(b));
}

export const bound = ({ upTo }: Pick<Bucket, "upTo">) => upTo ?? Number.POSITIVE_INFINITY;

/** Null where there is no answer. */
export function percentiles(times: Histogram = []): {
  readonly p50: number | null;
  readonly p99: number | null;
} {
  return { p50: quantile(0.5, times), p99: quantile(0.99, times) };
}

/** PromQL's histogram_quantile: linear within a bucket; the highest finite bound where it is beyond that. */
function quantile(share: number, times: Histogram): number | null {
  const rank = share * (times.at(-1)?.count ?? 0);
  if (rank === 0) return null;
  const index = times.findIndex(({ count }) => count >= rank);
  const { upTo = null, count = 0 } = times[index] ?? {};
  const below = times[index - 1] ?? { upTo: 0, count: 0 };
  if (upTo === null) return below.upTo;
  const start = bound(below);
  return start + ((upTo - start) * (rank - below.count)) / (count - below.count);
}
