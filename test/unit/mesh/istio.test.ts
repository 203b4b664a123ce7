/** Tests of mesh/istio.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  destinationRuleSpec,
  gatewaySpec,
  readVirtualService,
  routedSubsets,
  virtualServiceSpec,
} from "../../../mesh/istio.ts";
import { ISTIO_GATEWAY, type Routes } from "../../../mesh/model.ts";
import { arbitrarySplit } from "../../support/weights.ts";

const ROUTES: Routes = {
  host: "nginx.hung.org.hk",
  gatewayHosts: ["*.hung.org.hk"],
  service: "nginx-svc",
  versions: [
    { name: "v116", version: "1.16" },
    { name: "v117", version: "1.17" },
  ],
  weights: { v116: 50, v117: 50 },
  gateway: ISTIO_GATEWAY,
};

const virtualService = (change: Partial<Routes> = {}) =>
  virtualServiceSpec({ ...ROUTES, ...change }, "nginx-gateway");
const [v116, v117] = ROUTES.versions;

describe("a VirtualService", () => {
  it("is the article's", () => {
    expect(virtualService()).toEqual({
      hosts: ["nginx.hung.org.hk"],
      gateways: ["nginx-gateway"],
      http: [
        {
          name: "weights-v117-50-v116-50",
          route: [
            { destination: { host: "nginx-svc", port: { number: 80 }, subset: "v117" }, weight: 50 },
            { destination: { host: "nginx-svc", port: { number: 80 }, subset: "v116" }, weight: 50 },
          ],
        },
      ],
    });
  });

  it("names every version once, and reads back as the weights that were given", () => {
    fc.assert(
      fc.property(arbitrarySplit, (split) => {
        const spec = virtualService(split);
        const { weights, subsets, name } = readVirtualService({ spec });
        expect(weights).toEqual(split.weights);
        expect([...subsets].sort()).toEqual(split.versions.map(({ name }) => name).sort());
        expect(name).toBe(spec.http[0]?.name);
        expect(spec.http[0]?.route.reduce((sum, { weight }) => sum + weight, 0)).toBe(100);
      }),
    );
  });

  it("keeps its order whatever the weights: a shift changes numbers only", () => {
    fc.assert(
      fc.property(arbitrarySplit, (split) => {
        const [first = { name: "" }] = split.versions;
        const order = (of: Partial<Routes>) =>
          virtualService(of).http[0]?.route.map(({ destination }) => destination.subset);
        expect(order(split)).toEqual(order({ ...split, weights: { [first.name]: 100 } }));
      }),
    );
  });

  it("has another route name for other weights", () => {
    fc.assert(
      fc.property(arbitrarySplit, fc.nat(), (split, seed) => {
        const names = Object.keys(split.weights);
        const [from = "", to = ""] = [names[seed % names.length], names[(seed + 1) % names.length]];
        const { [from]: less = 0, [to]: more = 0 } = split.weights;
        fc.pre(from !== to && less > 0);
        const weights = { ...split.weights, [from]: less - 1, [to]: more + 1 };
        const name = (of: Partial<Routes>) => virtualService(of).http[0]?.name;
        expect(name({ ...split, weights })).not.toBe(name(split));
      }),
    );
  });

  it("is read as far as possible, whichever tool wrote it", () => {
    expect(readVirtualService({})).toEqual({ weights: {}, subsets: [] });
    const http = [
      { route: [{ destination: { subset: "v1" } }, { destination: {} }] },
      { route: [{ destination: { subset: "v2" }, weight: 100 }] },
    ];
    expect(readVirtualService({ spec: { http } })).toEqual({
      weights: { v1: 0, "": 0 },
      subsets: ["v1", "v2"],
    });
  });
});

describe("a DestinationRule", () => {
  it("is the article's, with the retained subsets", () => {
    const v115 = { name: "v115", version: "1.15" };
    expect(destinationRuleSpec(ROUTES, [v115])).toEqual({
      host: "nginx-svc",
      subsets: [
        { name: "v115", labels: { app: "nginx", version: "1.15" } },
        { name: "v117", labels: { app: "nginx", version: "1.17" } },
        { name: "v116", labels: { app: "nginx", version: "1.16" } },
      ],
    });
  });
});

describe("a Gateway", () => {
  it("serves https only with a credential, through the gateway's own pods", () => {
    const http = { port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*.hung.org.hk"] };
    expect(gatewaySpec(ROUTES)).toEqual({ selector: { istio: "ingressgateway" }, servers: [http] });
    const gateway = { ...ISTIO_GATEWAY, selector: { istio: "ingress", app: "door" } };
    const { selector, servers } = gatewaySpec({ ...ROUTES, gateway, credential: "door-tls" });
    expect(selector).toEqual({ istio: "ingress", app: "door" });
    expect(servers[1]).toMatchObject({ tls: { mode: "SIMPLE", credentialName: "door-tls" } });
  });
});

describe("routed subsets", () => {
  it("are those that the VirtualService names and the DestinationRule defines", () => {
    const destinationRule = { spec: destinationRuleSpec({ ...ROUTES, versions: [v116 as never] }, []) };
    expect(routedSubsets({ spec: virtualService() }, destinationRule)).toEqual([v116]);
    const both = { spec: destinationRuleSpec(ROUTES, [{ name: "v1", version: "1" }]) };
    expect(routedSubsets({ spec: virtualService() }, both)).toEqual([v117, v116]);
  });

  it("are none where one of the objects is missing", () => {
    expect(routedSubsets(undefined, { spec: destinationRuleSpec(ROUTES, []) })).toEqual([]);
    expect(routedSubsets({ spec: virtualService() }, undefined)).toEqual([]);
  });
});
