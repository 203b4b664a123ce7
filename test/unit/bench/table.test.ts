/** Tests of bench/table.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pairedRatio, quantile, summarize } from "../../../bench/statistics.ts";
import { renderResults } from "../../../bench/table.ts";

describe("statistics", () => {
  it("interpolates quantiles", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([7], 0.99)).toBe(7);
    expect(quantile([0, 100], 0.99)).toBe(99);
    expect(() => quantile([], 0.5)).toThrow(new RangeError("no values"));
  });

  it("keeps minimum, median and maximum in order", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const { min, median, max } = summarize(values);
        expect([min <= median, median <= max]).toEqual([true, true]);
        expect([min, max]).toEqual([Math.min(...values), Math.max(...values)]);
      }),
    );
  });

  it("pairs rounds, so that a machine that slows down does not decide", () => {
    expect(pairedRatio({ byHand: [10, 20, 40], pulumi: [9, 18, 36] })).toBeCloseTo(0.9);
  });
});

describe("renderResults", () => {
  it("is a Markdown table with a row for each step", () => {
    const text = renderResults({
      setting: ["two cores"],
      steps: { "weight change": { byHand: [0.2, 0.1], pulumi: [4, 3] } },
      shifts: { lastOldMs: [40, 60], requests: 2000, failed: 0 },
      reload: { seconds: [0.25], requests: 400, failed: 1 },
    });
    expect(text).toContain("| weight change | 0.10 / 0.15 / 0.20 | 3.00 / 3.50 / 4.00 | 25.00 |");
    expect(text).toContain("p50 50 ms, p99 60 ms | 2000 | 0 |");
    expect(text).toContain("| 1 reloads of HAProxy over SSH | 0.25 / 0.25 / 0.25 s | 400 | 1 |");
  });
});
