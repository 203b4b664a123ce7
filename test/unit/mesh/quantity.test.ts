/** Tests of mesh/quantity.ts. */
import { expect, it } from "vitest";
import { amountOf } from "../../../mesh/quantity.ts";

it.each<[string | number, number]>([
  [2, 2],
  ["0", 0],
  ["0.5", 0.5],
  ["500m", 0.5],
  ["1500u", 0.0015],
  ["64Ki", 65_536],
  ["64k", 64_000],
  ["1.5Gi", 1_610_612_736],
  ["2E", 2e18],
  ["1e3", 1000],
  ["128974848", 128_974_848],
])("%s is %d", (quantity, amount) => {
  expect(amountOf(quantity)).toBeCloseTo(amount, 12);
});

it.each(["", "m", "1 Gi", "1KB", "many"])("%j is no quantity", (text) => {
  expect(amountOf(text)).toBeNaN();
});
