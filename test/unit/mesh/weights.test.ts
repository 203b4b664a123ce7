/** The one rule for weights. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sumOf, weightFaults } from "../../../mesh/weights.ts";

describe("weightFaults", () => {
  it("accepts exactly the versions with integers that sum to 100", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(fc.nat(100)),
        (names, parts) => {
          let rest = 100;
          const weights = Object.fromEntries(
            names.map((version, index) => {
              const weight = index === names.length - 1 ? rest : Math.min(rest, parts.next().value);
              rest -= weight;
              return [version, weight];
            }),
          );
          expect(weightFaults(weights, names)).toEqual([]);
          expect(sumOf(weights)).toBe(100);
        },
      ),
    );
  });

  it.each<[string, Record<string, unknown>]>([
    ["a sum of 99", { a: 49, b: 50 }],
    ["a fraction", { a: 0.5, b: 99.5 }],
    ["a text", { a: "50", b: 50 }],
    ["more than 100", { a: 101, b: 0 }],
    ["less than 0", { a: -1, b: 100 }],
    ["no number", { a: Number.NaN, b: 50 }],
    ["one too few", { a: 100 }],
    ["one too many", { a: 50, b: 50, c: 0 }],
  ])("refuses %s", (_, weights) => {
    expect(weightFaults(weights, ["a", "b"])).not.toEqual([]);
  });

  it("takes any names where the versions are not known", () => {
    expect(weightFaults({ x: 40, y: 60 })).toEqual([]);
    expect(weightFaults({ x: 40, y: 50 })).toEqual([
      { right: "the sum is 90; give percents that sum to 100" },
    ]);
  });
});
