/** Tests of dashboard/page/words.ts. */
import { expect, test } from "vitest";
import { percent, perSecond, shortened, time } from "../../../../dashboard/page/words.ts";

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
