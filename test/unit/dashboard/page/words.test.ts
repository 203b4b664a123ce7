/** Tests of dashboard/page/words.ts. */
import { expect, test } from "vitest";
import { flowLines, percent, perSecond, shortened, time } from "../../../../dashboard/page/words.ts";

test.each([
  ["node02", "node02"],
  ["exactly-nineteen-xx", "exactly-nineteen-xx"],
  ["ip-10-0-123-45.eu-central-1.compute.internal", "ip-10-0-123-45…"],
  ["gke-prod-cluster-default-pool-3f2a1b-abcd", "gke-prod-…2a1b-abcd"],
  ["a-very-long-name-of-a-node.and.its.domain", "a-very-lo…of-a-node"],
])("%s fits as %s", (name, shown) => {
  expect(shortened(name, 19).length).toBeLessThanOrEqual(19);
  expect(shortened(name, 19)).toBe(shown);
});

test("figures are short, and what is not measured is a dash", () => {
  expect([percent(0), percent(49.84), percent(100), percent(null)]).toEqual(["0 %", "49.8 %", "100 %", "–"]);
  expect([perSecond(12.34), perSecond(212.4), perSecond(null)]).toEqual(["12.3/s", "212/s", "–"]);
  expect([time(3.21), time(868.4), time(1900), time(null)]).toEqual(["3.2 ms", "868 ms", "1.9 s", "–"]);
});

test("an edge has percentiles, or the mean where there are none; without requests it has neither", () => {
  const flow = { perSecond: 12, share: 50, errors: 0, mean: null, p50: 3, p99: 12 };
  expect(flowLines(flow)).toEqual(["50.0 % · 12.0/s", "0 % errors", "p50 3.0 ms · p99 12 ms"]);
  expect(flowLines({ ...flow, mean: 4, p50: null, p99: null }).at(-1)).toBe("mean 4.0 ms");
  const idle = { perSecond: 0, share: 0, errors: null, mean: null, p50: null, p99: null };
  expect(flowLines(idle)).toEqual(["0 % · 0.0/s"]);
});
