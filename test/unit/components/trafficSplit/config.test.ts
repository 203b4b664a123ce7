/** Settings of the traffic split. */
import { describe, expect, it } from "vitest";
import { faultsOf, settings } from "../../../support/settings.ts";

const V116 = { name: "v116", version: "1.16", image: "nginx:1.16.1" };
const V117 = { name: "v117", version: "1.17", image: "nginx:1.17.9" };

describe("weights", () => {
  it.each<[string, unknown, string[]]>([
    [
      "a weight of an unknown version",
      { v116: 50, v117: 50, v118: 0 },
      ["weights.v118 is 0: no such version (did you mean v116?); the versions are v116, v117"],
    ],
    [
      "a version without a weight",
      { v116: 80 },
      ["weights.v117 is missing: give v117 an integer percent; 0 is legal, 20 makes the sum 100"],
    ],
    [
      "a sum below 100",
      { v116: 50, v117: 40 },
      ['weights is {"v116":50,"v117":40}: the sum is 90; give percents that sum to 100'],
    ],
    [
      "fractions",
      { v116: 49.5, v117: 50.5 },
      [
        "weights.v116 is 49.5: give an integer percent from 0 to 100",
        "weights.v117 is 50.5: give an integer percent from 0 to 100",
      ],
    ],
    [
      "a weight in quotes, and one that is missing",
      { v116: "50" },
      [
        "weights.v117 is missing: give v117 an integer percent; 0 is legal",
        'weights.v116 is "50": give an integer percent from 0 to 100',
      ],
    ],
    ["a list", [50, 50], ["weights is [50,50]: give an object of version name to percent"]],
  ])("reports %s", (_, weights, lines) => {
    expect(faultsOf({ weights })).toEqual(lines);
  });

  it("takes a weight of 0, one version, five versions", () => {
    expect(settings({ weights: { v116: 0, v117: 100 } }).weights).toEqual({ v116: 0, v117: 100 });
    expect(settings({ versions: [V116], weights: { v116: 100 } }).versions).toHaveLength(1);
    const five = [1, 2, 3, 4, 5].map((n) => ({ name: `v${n}`, version: `${n}`, image: `nginx:1.${n}` }));
    const weights = { v1: 20, v2: 20, v3: 20, v4: 20, v5: 20 };
    expect(settings({ versions: five, weights }).versions).toHaveLength(5);
  });

  it("does not take an inherited property for a weight", () => {
    const versions = [V116, { ...V117, name: "constructor" }];
    expect(faultsOf({ versions, weights: { v116: 100 } })).toEqual([
      expect.stringContaining("weights.constructor is missing"),
    ]);
  });

  it("are compared with the versions' names also where something else is wrong with the versions", () => {
    const versions = [V116, { ...V117, replicas: 0 }];
    expect(faultsOf({ versions, weights: { v116: 50, v118: 50 } })).toEqual([
      expect.stringContaining("versions[1].replicas is 0"),
      expect.stringContaining("weights.v118 is 50: no such version"),
      expect.stringContaining("weights.v117 is missing"),
    ]);
  });
});

describe("host names", () => {
  it.each<[string, Record<string, unknown>, string[]]>([
    [
      "a bad host name",
      { host: "nginx_1.hung.org.hk" },
      ['host is "nginx_1.hung.org.hk": give a DNS name, e.g. nginx.hung.org.hk'],
    ],
    [
      "an address as host",
      { host: "10.0.0.1" },
      ['host is "10.0.0.1": give a DNS name, e.g. nginx.hung.org.hk'],
    ],
    ["an empty host", { host: "" }, ["host is missing: give a DNS name, e.g. nginx.hung.org.hk"]],
    [
      "a host outside the Gateway's",
      { host: "nginx.example.org" },
      [
        'host is "nginx.example.org": the Gateway lets in *.hung.org.hk only: add nginx.example.org to ' +
          "gatewayHosts",
      ],
    ],
    [
      "the bare domain, which *. does not include",
      { host: "hung.org.hk" },
      ['host is "hung.org.hk": the Gateway lets in *.hung.org.hk only: add hung.org.hk to gatewayHosts'],
    ],
    ["no host for the Gateway", { gatewayHosts: [] }, ["gatewayHosts is []: give at least one host name"]],
    [
      "a wildcard in the middle",
      { gatewayHosts: ["*.hung.org.hk", "a*.b"] },
      ['gatewayHosts[1] is "a*.b": give a DNS name, which may begin with *.'],
    ],
  ])("reports %s", (_, change, lines) => {
    expect(faultsOf(change)).toEqual(lines);
  });

  it("are the same in upper case and with a last dot", () => {
    const { host, gatewayHosts } = settings({ host: "Nginx.Hung.ORG.hk.", gatewayHosts: ["*.HUNG.org.hk."] });
    expect({ host, gatewayHosts }).toEqual({ host: "nginx.hung.org.hk", gatewayHosts: ["*.hung.org.hk"] });
  });
});
