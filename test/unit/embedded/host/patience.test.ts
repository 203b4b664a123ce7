/** Tests of embedded/host/patience.ts. */
import { expect, test } from "vitest";
import { patience } from "../../../../embedded/host/patience.ts";

test("waiting times are as they are, or longer by a factor", () => {
  expect(patience(60, {})).toBe(60);
  expect(patience(60, { ISTIO_LAB_PATIENCE: "" })).toBe(60);
  expect(patience(60, { ISTIO_LAB_PATIENCE: "2.5" })).toBe(150);
});

test.each(["0", "0.5", "-1", "much", "Infinity"])("the factor %s is refused", (factor) => {
  expect(() => patience(60, { ISTIO_LAB_PATIENCE: factor })).toThrow(`ISTIO_LAB_PATIENCE is "${factor}"`);
});
