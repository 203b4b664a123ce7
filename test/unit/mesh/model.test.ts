/** Tests of mesh/model.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settings } from "../../support/settings.ts";
import { arbitrarySplit } from "../../support/weights.ts";

describe("weights in the configuration", () => {
  it("are taken when they sum to 100", () => {
    fc.assert(
      fc.property(arbitrarySplit, (change) => {
        expect(settings(change).weights).toEqual(change.weights);
      }),
    );
  });

  it("are refused when they do not", () => {
    fc.assert(
      fc.property(arbitrarySplit, fc.nat(), ({ versions, weights }, seed) => {
        const names = Object.keys(weights);
        const name = names[seed % names.length] ?? "";
        fc.pre((weights[name] ?? 0) > 0);
        const less = { ...weights, [name]: (weights[name] ?? 0) - 1 };
        expect(() => settings({ versions, weights: less })).toThrow("the sum is 99");
      }),
    );
  });
});
