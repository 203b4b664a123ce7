/** Tests of components/tracing/preflight.ts. */
import { expect, it } from "vitest";
import { stringify } from "yaml";
import { type Needs, tracingPreflight } from "../../../../components/tracing/preflight.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { runChecks } from "../../../support/preflight.ts";

const MESH = "/api/v1/namespaces/istio-system/configmaps/istio";
const ZIPKIN = {
  name: "istio-lab-tracing",
  zipkin: {
    service: "zipkin.istio-lab-observability.svc.cluster.local",
    port: 9411,
    traceContextOption: "USE_B3_WITH_W3C_PROPAGATION",
  },
};
const { traceContextOption: _, ...address } = ZIPKIN.zipkin;
const mesh = (...extensionProviders: (object | null)[]) => ({
  data: { mesh: stringify({ extensionProviders }) },
});
const gateway = { namespace: "istio-system", selector: { istio: "ingressgateway" } };
const there: Needs = {
  tracing: { sampling: 1, image: "zipkin" },
  namespace: "shop",
  istio: { manage: false, gateway },
};

const faults = async (paths: Paths, config: Partial<Needs> = {}) =>
  (await runChecks(tracingPreflight, (await apiOf(paths)).api, { ...there, ...config })).faults;

it.each([
  ["the mesh has the provider", { [MESH]: mesh({ name: "other" }, ZIPKIN) }, {}],
  ["the program installs Istio", {}, { istio: { manage: true, gateway } }],
  ["nothing traces", {}, { tracing: undefined }],
  ["a revision has the provider", { [`${MESH}-green`]: mesh(ZIPKIN), [MESH]: mesh() }, green()],
  ["a tag leads to the default one", { [MESH]: mesh(ZIPKIN) }, green()],
  [
    "the provider has keys of its owner's",
    { [MESH]: mesh(null, { ...ZIPKIN, zipkin: { ...address, timeout: "1s" } }) },
    {},
  ],
])("no fault where %s", async (_, paths, config) => {
  expect(await faults(paths, config)).toEqual([]);
});

it.each([
  ["has other providers", { [MESH]: mesh({ name: "other" }) }],
  ["has none", { [MESH]: { data: { mesh: "accessLogFile: /dev/stdout" } } }],
  ["cannot be read", { [MESH]: { data: { mesh: "a: [" } } }],
  ["is missing", {}],
])("a mesh that %s: the fault gives what to add", async (_, paths) => {
  const [message] = await faults(paths);
  expect(message).toContain("ConfigMap istio-system/istio of");
  expect(message).toContain(`add to meshConfig.extensionProviders of that Istio ${JSON.stringify(ZIPKIN)}`);
});

it("a provider that leads elsewhere: the fault gives both", async () => {
  const other = { name: "istio-lab-tracing", zipkin: { service: "zipkin.tools", port: 9411 } };
  const [message] = await faults({ [MESH]: mesh(other) });
  expect(message).toContain(`is ${JSON.stringify(other)}: make it ${JSON.stringify(ZIPKIN)}`);
});

it("a provider of the other protocol, at the same address, is another provider", async () => {
  const other = { name: "istio-lab-tracing", opentelemetry: address };
  expect(await faults({ [MESH]: mesh(other) })).toHaveLength(1);
});

it("needs the right to read the mesh only where it reads it", () => {
  const names = (config: Partial<Needs>) =>
    tracingPreflight.permissions({ ...there, ...config }).map(({ name }) => name);
  expect(names({})).toEqual(["istio"]);
  expect(names(green())).toEqual(["istio-green", "istio"]);
  expect(names({ istio: { manage: true, gateway } })).toEqual([]);
});

const telemetry = (name: string, creationTimestamp: string, matchLabels?: object) => ({
  metadata: { name, namespace: "shop", creationTimestamp },
  spec: { ...(matchLabels ? { selector: { matchLabels } } : {}), tracing: [{}] },
});
const OWN = telemetry("istio-lab-tracing", "2026-01-02T00:00:00Z", { app: "nginx" });

it.each([
  ["no warning: another is younger", [OWN, telemetry("b", "2026-01-03T00:00:00Z", { app: "nginx" })], 0],
  ["no warning: another selects other pods", [telemetry("b", "2026-01-01T00:00:00Z", { app: "cart" })], 0],
  ["no warning: another is for the namespace", [OWN, telemetry("b", "2026-01-01T00:00:00Z")], 0],
  ["another is older", [OWN, telemetry("b", "2026-01-01T00:00:00Z", { app: "nginx" })], 1],
  ["another is there before the lab's", [telemetry("b", "2026-01-01T00:00:00Z", { app: "nginx" })], 1],
])("Telemetry objects of others: %s", async (_, items, count) => {
  const paths = {
    [MESH]: mesh(ZIPKIN),
    "/apis/telemetry.istio.io/v1/namespaces/shop/telemetries": { items },
  };
  const { faults, warnings } = await runChecks(tracingPreflight, (await apiOf(paths)).api, there);
  expect([faults, warnings]).toEqual([
    [],
    Array(count).fill(expect.stringMatching(/^Telemetry shop\/b of .* selects the application and is older/)),
  ]);
});

function green() {
  return { istio: { manage: false, revision: "green", gateway } };
}
