/** Tests of components/trafficSplit/preflight.ts. */
import { expect, it } from "vitest";
import { type Needs, trafficSplitPreflight } from "../../../../components/trafficSplit/preflight.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { runChecks } from "../../../support/preflight.ts";

const ROUTING = "/apis/networking.istio.io/v1/namespaces/shop";
const route = ["v117", "v116", "gone"].map((subset) => ({ destination: { host: "nginx-svc", subset } }));
const virtualService = { metadata: { name: "nginx" }, spec: { http: [{ route }] } };
const subsets = ["1.18", "1.17", "1.16"].map((version) => ({
  name: `v${version.replace(".", "")}`,
  labels: { app: "nginx", version },
}));

const CONFIG: Needs = {
  namespace: "shop",
  host: "shop.hung.org.hk",
  gatewayHosts: ["*.hung.org.hk"],
  versions: [{ name: "v116", version: "1.16" }],
  weights: { v116: 100 },
  istio: { gateway: ISTIO_GATEWAY, manage: true },
};

const check = async (paths: Paths, config: Partial<Needs> = {}) =>
  runChecks(trafficSplitPreflight, (await apiOf(paths)).api, { ...CONFIG, ...config });
const routed = async (paths: Paths) => (await check(paths)).facts;

it("finds the subsets that the routes name and the DestinationRule has", async () => {
  const paths = {
    [`${ROUTING}/virtualservices/nginx`]: virtualService,
    [`${ROUTING}/destinationrules/nginx`]: { metadata: { name: "nginx" }, spec: { subsets } },
  };
  expect(await routed(paths)).toEqual({
    routed: [
      { name: "v117", version: "1.17" },
      { name: "v116", version: "1.16" },
    ],
  });
});

it("finds none where one of the two is missing", async () => {
  expect(await routed({ [`${ROUTING}/virtualservices/nginx`]: virtualService })).toEqual({ routed: [] });
});

it("owns a Secret only where the gateway serves https", () => {
  const kinds = (mode?: string) =>
    trafficSplitPreflight.objects({ ...CONFIG, tls: mode ? { mode } : undefined }).map(({ kind }) => kind);
  expect(kinds()).toEqual(["Gateway", "VirtualService", "DestinationRule"]);
  expect(kinds("terminate")).not.toContain("Secret");
  expect(kinds("passthrough")).toContain("Secret");
});
