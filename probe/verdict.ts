/**
 * Judges whether counts agree with weights. Pure arithmetic, no network.
 *
 * Each version's count of N answered requests is binomial with p = weight / 100. A count is refused when a
 * true share of p gives one so far out, on that side, with a probability below that of four standard
 * deviations: one false alarm in about 16,000 for each version, whatever the weight; a fixed "plus or minus
 * ten" cannot promise that. At 50 percent the bound is `4 * sqrt(N p (1 - p))` to the request; at 1 percent,
 * where the distribution is skewed, the exact tails keep the promise.
 *
 * Why it matters: Istio's own integration test sends 100 calls and accepts each count within 10 of the
 * expected one (istio/istio, tests/integration/pilot/common/routing.go, `errorThreshold := 10`). A true 60/40
 * passes that as 50/50 in 54 of 100 runs. Nearly all true 60/40 are refused from about 1,600 requests on.
 */

/** How many standard deviations a count may lie from what the weights promise. */
const SIGMAS = 4;

/**
 * Probability that a normal variable lies more than {@link SIGMAS} standard deviations above its mean: 1 -
 * Phi(4).
 */
export const TAIL = 3.167124183311998e-5;

/** One version's part in a {@link Verdict}. */
export interface Share {
  version: string;
  /** Configured, in percent. */
  weight: number;
  /** Answers seen from this version. */
  count: number;
  /** Measured share of the answered requests, in percent; 0 when none was answered. */
  percent: number;
  /** The fewest and the most answers that agree with the weight. */
  low: number;
  high: number;
  ok: boolean;
}

/** The answer to "is the traffic split as configured?", with everything needed to explain it. */
export interface Verdict {
  /** Every share within its bound, at least one request answered, none failed. */
  ok: boolean;
  /** Requests answered by a known version. */
  answered: number;
  failed: number;
  /** In the order of the weights, then versions that answered without having a weight. */
  shares: Share[];
}

/**
 * Judges counts against weights.
 *
 * @param served answers by version; a version that is absent has none, one without a weight counts as a
 * weight of 0.
 * @param weights percent by version.
 * @param failed requests without a usable answer; one is enough to refuse. @default 0
 */
export function judge(served: Record<string, number>, weights: Record<string, number>, failed = 0): Verdict {
  const answered = Object.values(served).reduce((sum, count) => sum + count, 0);
  const versions = [...new Set([...Object.keys(weights), ...Object.keys(served)])];
  const shares = versions.map((version) =>
    judgeShare(version, weights[version] ?? 0, served[version] ?? 0, answered),
  );
  return { ok: answered > 0 && failed === 0 && shares.every((share) => share.ok), answered, failed, shares };
}

function judgeShare(version: string, weight: number, count: number, answered: number): Share {
  const { low, high } = allowed(answered, weight);
  const percent = answered === 0 ? 0 : (100 * count) / answered;
  return { version, weight, count, percent, low, high, ok: low <= count && count <= high };
}

/**
 * The counts of N requests that agree with a weight in percent, both ends included. Exact at 0 and 100
 * percent.
 */
export function allowed(requests: number, weight: number): { low: number; high: number } {
  if (weight <= 0) return { low: 0, high: 0 };
  if (weight >= 100) return { low: requests, high: requests };
  const share = weight / 100;
  return { low: lowerEnd(requests, share), high: requests - lowerEnd(requests, 1 - share) };
}

/**
 * The smallest count k for which P(X < k) is still at most {@link TAIL}, X binomial. The sum is of
 * logarithms, so that no N overflows.
 */
function lowerEnd(requests: number, share: number): number {
  const odds = Math.log(share) - Math.log1p(-share);
  let logProbability = requests * Math.log1p(-share);
  let below = 0;
  for (let count = 0; count < requests; count++) {
    below += Math.exp(logProbability);
    if (below > TAIL) return count;
    logProbability += Math.log(requests - count) - Math.log(count + 1) + odds;
  }
  return requests;
}

/**
 * The smallest deviation, in percentage points, that N requests can show at all: `4 * sqrt(p (1 - p) / N)`.
 */
export function visibleDeviation(requests: number, weight: number): number {
  return requests === 0 ? 100 : SIGMAS * Math.sqrt((weight * (100 - weight)) / requests);
}

/**
 * How many requests can show a deviation of so many percentage points: the inverse of {@link
 * visibleDeviation}.
 */
export function requestsToShow(points: number, weight: number): number {
  return Math.ceil((SIGMAS ** 2 * weight * (100 - weight)) / points ** 2);
}
