/** Tests of probe/verdict.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allowed, judge, requestsToShow, TAIL, visibleDeviation } from "../../../probe/verdict.ts";
import { seeded } from "../../support/probeServer.ts";

describe("allowed", () => {
  it("is four standard deviations to the request at 50 percent", () => {
    expect(allowed(400, 50)).toEqual({ low: 160, high: 240 });
    expect(allowed(1600, 50)).toEqual({ low: 720, high: 880 });
  });

  it("allows no deviation at 0 and at 100 percent", () => {
    expect(allowed(400, 0)).toEqual({ low: 0, high: 0 });
    expect(allowed(400, 100)).toEqual({ low: 400, high: 400 });
  });

  it("keeps the promised false alarm rate on both sides of every weight, and is no wider than that needs", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 99 }), (requests, weight) => {
        const { low, high } = allowed(requests, weight);
        expect(probabilityBelow(low, requests, weight)).toBeLessThanOrEqual(TAIL * 1.000001);
        expect(probabilityBelow(low + 1, requests, weight)).toBeGreaterThan(TAIL * 0.999999);
        expect(probabilityBelow(requests - high, requests, 100 - weight)).toBeLessThanOrEqual(
          TAIL * 1.000001,
        );
        expect(probabilityBelow(requests - high + 1, requests, 100 - weight)).toBeGreaterThan(
          TAIL * 0.999999,
        );
      }),
    );
  });

  it("mirrors: the range of v116 is the complement of the range of v117", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 100 }), (requests, weight) => {
        const { low, high } = allowed(requests, weight);
        expect(allowed(requests, 100 - weight)).toEqual({ low: requests - high, high: requests - low });
      }),
    );
  });

  it("stays near the mean for a million requests", () => {
    const { low, high } = allowed(1_000_000, 50);
    expect([Math.abs(low - 498_000) <= 2, Math.abs(high - 502_000) <= 2]).toEqual([true, true]);
  });
});

describe("judge", () => {
  it("passes true shares: no false alarm in 2,000 simulated runs", () => {
    const random = seeded(1);
    for (const weight of [1, 10, 20, 50, 90]) {
      expect(refusals(400, 400, weight, weight, random)).toBe(0);
    }
  });

  it("refuses a true 60/40 at 50/50 half of the time at 400 requests, and always at 1,600", () => {
    const random = seeded(2);
    const half = refusals(400, 400, 50, 60, random);
    expect(half).toBeGreaterThan(150);
    expect(half).toBeLessThan(250);
    expect(refusals(400, 1600, 50, 60, random)).toBe(400);
  });

  it("takes one answer of a 0 percent version for a violation", () => {
    expect(judge({ v116: 1, v117: 399 }, { v116: 0, v117: 100 }).ok).toBe(false);
    expect(judge({ v116: 0, v117: 400 }, { v116: 0, v117: 100 }).ok).toBe(true);
  });

  it("takes a version without a weight for one of 0 percent", () => {
    const verdict = judge({ v116: 200, v117: 199, v118: 1 }, { v116: 50, v117: 50 });
    expect(verdict.ok).toBe(false);
    expect(verdict.shares.map(({ version, ok }) => [version, ok])).toEqual([
      ["v116", true],
      ["v117", true],
      ["v118", false],
    ]);
  });

  it("refuses when a request failed, and when none was answered", () => {
    expect(judge({ v116: 200, v117: 200 }, { v116: 50, v117: 50 }, 1).ok).toBe(false);
    expect(judge({ v116: 0, v117: 0 }, { v116: 50, v117: 50 }).ok).toBe(false);
  });

  it("says what each version gave and what it may give", () => {
    expect(judge({ v116: 250, v117: 150 }, { v116: 50, v117: 50 }).shares).toEqual([
      { version: "v116", weight: 50, count: 250, percent: 62.5, low: 160, high: 240, ok: false },
      { version: "v117", weight: 50, count: 150, percent: 37.5, low: 160, high: 240, ok: false },
    ]);
  });
});

describe("what N requests can show", () => {
  it("is 4 sqrt(p (1 - p) / N)", () => {
    expect(visibleDeviation(400, 50)).toBe(10);
    expect(visibleDeviation(100, 50)).toBe(20);
    expect(visibleDeviation(400, 10)).toBe(6);
    expect(visibleDeviation(400, 0)).toBe(0);
  });

  it("has an inverse: 1,600 requests for 5 points at 50 percent", () => {
    expect(requestsToShow(5, 50)).toBe(1600);
    expect(requestsToShow(10, 50)).toBe(400);
  });

  it("gives the number of requests back that it was made of", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 40, noNaN: true }),
        fc.integer({ min: 1, max: 99 }),
        (points, weight) => {
          const requests = requestsToShow(points, weight);
          expect(visibleDeviation(requests, weight)).toBeLessThanOrEqual(points * 1.000001);
        },
      ),
    );
  });
});

/** P(X < count) as a plain sum of terms, to check the fast function. */
function probabilityBelow(count: number, requests: number, weight: number): number {
  const p = weight / 100;
  let sum = 0;
  for (let k = 0; k < count; k++) {
    let logProbability = k * Math.log(p) + (requests - k) * Math.log(1 - p);
    for (let i = 1; i <= k; i++) logProbability += Math.log((requests - k + i) / i);
    sum += Math.exp(logProbability);
  }
  return sum;
}

/** How many of these simulated probes with a true share the verdict refuses. */
function refusals(
  runs: number,
  requests: number,
  weight: number,
  truth: number,
  random: () => number,
): number {
  let refused = 0;
  for (let run = 0; run < runs; run++) {
    let v116 = 0;
    for (let i = 0; i < requests; i++) if (random() * 100 < truth) v116++;
    if (!judge({ v116, v117: requests - v116 }, { v116: weight, v117: 100 - weight }).ok) refused++;
  }
  return refused;
}
