import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { routeName, routes, weightsOf } from "../../../../components/trafficSplit/trafficSplit.ts";
import { parseConfig } from "../../../../settings/settings.ts";
import { LEAST } from "../../../support/mocks.ts";

/** Versions with weights that sum to 100, 0 among them. */
const split = fc
  .uniqueArray(fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/), { minLength: 1, maxLength: 6 })
  .chain((names) =>
    fc
      .array(fc.integer({ min: 0, max: 100 }), { minLength: names.length - 1, maxLength: names.length - 1 })
      .map((cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), 100];
        const weights = Object.fromEntries(
          names.map((name, i) => [name, (edges[i + 1] ?? 0) - (edges[i] ?? 0)]),
        );
        return { versions: names.map((name) => ({ name, version: name, image: `nginx:${name}` })), weights };
      }),
  );

describe("routes", () => {
  it("are the article's", () => {
    const route = routes("nginx-svc", [{ name: "v116" }, { name: "v117" }], { v116: 50, v117: 50 });
    expect(route).toEqual([
      { destination: { host: "nginx-svc", port: { number: 80 }, subset: "v117" }, weight: 50 },
      { destination: { host: "nginx-svc", port: { number: 80 }, subset: "v116" }, weight: 50 },
    ]);
    expect(routeName(route)).toBe("weights-v117-50-v116-50");
  });

  it("name every version once, sum to 100, and read back as the weights that were given", () => {
    fc.assert(
      fc.property(split, ({ versions, weights }) => {
        const route = routes("nginx-svc", versions, weights);
        expect(route.map(({ destination }) => destination.subset).sort()).toEqual(
          versions.map(({ name }) => name).sort(),
        );
        expect(route.reduce((sum, { weight }) => sum + weight, 0)).toBe(100);
        expect(weightsOf({ hosts: [], gateways: [], http: [{ name: "any", route }] })).toEqual(weights);
      }),
    );
  });

  it("stay in the same order whatever the weights: a shift changes numbers only", () => {
    fc.assert(
      fc.property(split, ({ versions, weights }) => {
        const subsets = (of: Record<string, number>) =>
          routes("s", versions, of).map(({ destination }) => destination.subset);
        const [first = { name: "" }] = versions;
        expect(subsets(weights)).toEqual(subsets({ [first.name]: 100 }));
      }),
    );
  });

  it("tell different weights by different names", () => {
    fc.assert(
      fc.property(split, fc.nat(), ({ versions, weights }, seed) => {
        const names = Object.keys(weights);
        const [from = "", to = ""] = [names[seed % names.length], names[(seed + 1) % names.length]];
        fc.pre(from !== to && (weights[from] ?? 0) > 0);
        const shifted = { ...weights, [from]: (weights[from] ?? 0) - 1, [to]: (weights[to] ?? 0) + 1 };
        expect(routeName(routes("s", versions, shifted))).not.toBe(routeName(routes("s", versions, weights)));
      }),
    );
  });
});

describe("weights in the configuration", () => {
  it("are taken when they sum to 100", () => {
    fc.assert(
      fc.property(split, (change) => {
        expect(parseConfig({ ...LEAST, ...change }).weights).toEqual(change.weights);
      }),
    );
  });

  it("are refused when they do not", () => {
    fc.assert(
      fc.property(split, fc.nat(), ({ versions, weights }, seed) => {
        const names = Object.keys(weights);
        const name = names[seed % names.length] ?? "";
        fc.pre((weights[name] ?? 0) > 0);
        const less = { ...weights, [name]: (weights[name] ?? 0) - 1 };
        expect(() => parseConfig({ ...LEAST, versions, weights: less })).toThrow("the sum is 99");
      }),
    );
  });
});
