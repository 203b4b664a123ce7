/** Tests of mesh/changeover.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { changeover } from "../../../mesh/changeover.ts";
import type { Subset } from "../../../mesh/model.ts";

const subset = (name: string): Subset => ({ name: `v${name}`, version: name });
const [v116, v117, v118] = [subset("116"), subset("117"), subset("118")];
const none = { added: [], removed: [], retained: [], order: "subsets first", waitBetween: false } as const;

describe("a change of the versions", () => {
  it.each([
    ["no traffic flows yet", [], [v116, v117], { ...none, added: [v116, v117] }],
    ["the versions stay the same", [v117, v116], [v116, v117], none],
    ["one is added", [v116, v117], [v116, v117, v118], { ...none, added: [v118], waitBetween: true }],
    [
      "one is removed",
      [v116, v117, v118],
      [v116, v117],
      { ...none, removed: [v118], order: "routes first", waitBetween: true },
    ],
    [
      "one replaces another",
      [v116, v117],
      [v116, v118],
      { ...none, added: [v118], removed: [v117], retained: [v117], waitBetween: true },
    ],
  ])("when %s", (_, routed, wanted, expected) => {
    expect(changeover(routed, wanted)).toEqual(expected);
  });

  it("leaves no route without its subset at any moment, and no unused subset after the next update", () => {
    const some = fc
      .uniqueArray(fc.constantFrom("v1", "v2", "v3", "v4", "v5"), { minLength: 1 })
      .map((names) => names.map((name) => ({ name, version: name })));
    const namesOf = (subsets: readonly Subset[]) => subsets.map(({ name }) => name).sort();
    fc.assert(
      fc.property(some, some, (routed, wanted) => {
        const { order, waitBetween, retained } = changeover(routed, wanted);
        const [before, after, written] = [
          namesOf(routed),
          namesOf(wanted),
          namesOf([...wanted, ...retained]),
        ];
        const between =
          order === "subsets first"
            ? { routes: before, subsets: written }
            : { routes: after, subsets: before };
        for (const { routes, subsets } of [between, { routes: after, subsets: written }])
          expect(subsets).toEqual(expect.arrayContaining(routes));
        expect(waitBetween).toBe(before.join() !== after.join());
        expect(changeover(wanted, wanted)).toEqual(none);
      }),
    );
  });
});
