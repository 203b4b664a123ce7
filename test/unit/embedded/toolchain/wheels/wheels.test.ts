/** Tests of embedded/toolchain/wheels/wheels.ts. */
import { expect, test } from "vitest";
import { isAtLeast } from "../../../../../embedded/toolchain/wheels/wheels.ts";

test.each([
  ["1.26.6", "1.26", true],
  ["1.26", "1.26.0", true],
  ["1.27rc1", "1.26.3", true],
  ["1.26.2", "1.26.3", false],
  ["1.9.9", "1.26.0", false],
  ["2.0", "1.26.0", true],
  ["devel", "1.26.0", false],
])("Go %s builds what wants %s: %s", (version, wanted, expected) => {
  expect(isAtLeast(version, wanted)).toBe(expected);
});
