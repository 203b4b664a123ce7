/** Tests of components/istio/meshSettings.ts. */
import { describe, expect, it } from "vitest";
import { checkMeshSettings, hiding, type MeshSettings } from "../../../../components/istio/meshSettings.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { faultsOfCheck } from "../../../support/preflight.ts";

const APP = { name: "shop", labels: { "istio-injection": "enabled", team: "shop" } };
const DOOR = { name: "istio-system", labels: { mesh: "yes" } };
const selecting = (...labels: Record<string, string>[]) => ({
  discoverySelectors: labels.map((matchLabels) => ({ matchLabels })),
});

it.each<[string, MeshSettings["config"], RegExp[]]>([
  ["nothing", {}, []],
  ["selectors of both namespaces", selecting({ team: "shop" }, { mesh: "yes" }), []],
  ["selectors of the application's alone", selecting({ team: "shop" }), [/leave out namespace istio-system/]],
  [
    "selectors of neither",
    selecting({ a: "b" }),
    [/leave out namespace shop/, /leave out namespace istio-system/],
  ],
  ["routes for everywhere", { defaultVirtualServiceExportTo: ["*"] }, []],
  ["routes for the gateway's namespace", { defaultVirtualServiceExportTo: ["istio-system"] }, []],
  [
    "routes for their own namespace",
    { defaultVirtualServiceExportTo: ["."] },
    [/keeps each VirtualService of namespace shop/],
  ],
  [
    "Services and subsets for no namespace",
    { defaultServiceExportTo: ["~"], defaultDestinationRuleExportTo: ["."] },
    [/keeps each Service/, /keeps each DestinationRule/],
  ],
])("%s in the mesh's settings", (_, config, messages) => {
  const found = hiding({ config, scoped: false }, APP, DOOR);
  expect(found).toEqual(messages.map((message) => expect.stringMatching(message)));
});

it("Gateways that select pods of their own namespace only need the gateway's", () => {
  const settings = { config: {}, scoped: true };
  expect(hiding(settings, APP, DOOR)).toEqual([
    expect.stringMatching(/^PILOT_SCOPE_GATEWAY_TO_NAMESPACE is true/),
  ]);
  expect(hiding(settings, APP, APP)).toEqual([]);
});

it("injection that is switched off for all is named", () => {
  expect(hiding({ config: {}, scoped: false, injectionOff: true }, APP, APP)).toEqual([
    expect.stringMatching(/^global\.proxy\.autoInject is disabled, .*: set it to enabled$/),
  ]);
});

describe("the check", () => {
  const check = async (paths: Paths, istio: object) => {
    const { api } = await apiOf(paths);
    const config = { namespace: "shop", istio: { manage: true, gateway: ISTIO_GATEWAY, ...istio } };
    return faultsOfCheck(checkMeshSettings, api, config);
  };
  const env = [{ name: "PILOT_SCOPE_GATEWAY_TO_NAMESPACE", value: "true" }];
  const istiod = {
    metadata: { name: "istiod-canary", namespace: "mesh", labels: { "istio.io/rev": "canary" } },
    spec: { template: { spec: { containers: [{ name: "discovery", env }] } } },
  };
  const tag = { metadata: { name: "tag", labels: { "istio.io/tag": "stable", "istio.io/rev": "canary" } } };
  const THERE: Paths = {
    "/apis/apps/v1/deployments": { items: [istiod] },
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": { items: [tag] },
    "/api/v1/namespaces/mesh/configmaps/istio-canary": {
      data: { mesh: 'defaultServiceExportTo: ["."]' },
    },
  };

  it("reads the values of the Istio that the stack installs", async () => {
    const values = {
      meshConfig: selecting({ a: "b" }),
      pilot: { env: { PILOT_SCOPE_GATEWAY_TO_NAMESPACE: true } },
    };
    expect(await check({}, { values })).toHaveLength(3);
    const off = { global: { proxy: { autoInject: "disabled" } } };
    expect(await check({}, { values: off })).toEqual([expect.stringMatching(/^istio\.values: .*autoInject/)]);
    expect(await check({}, {})).toEqual([]);
  });

  it("reads the settings of the Istio that is there, by its tag", async () => {
    expect(await check(THERE, { manage: false, revision: "stable" })).toEqual([
      expect.stringMatching(/^the Istio in this cluster: meshConfig\.defaultServiceExportTo/),
      expect.stringMatching(/^the Istio in this cluster: PILOT_SCOPE/),
    ]);
  });

  it("reads the injector's policy", async () => {
    const off = { data: { config: "defaultTemplates: [sidecar]\npolicy: disabled\n" } };
    const paths = { ...THERE, "/api/v1/namespaces/mesh/configmaps/istio-sidecar-injector-canary": off };
    expect(await check(paths, { manage: false, revision: "stable" })).toHaveLength(3);
  });

  it("has no fault where the settings cannot be read", async () => {
    expect(await check({}, { manage: false })).toEqual([]);
  });
});
