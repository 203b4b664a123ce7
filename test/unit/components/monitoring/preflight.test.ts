/** Tests of components/monitoring/preflight.ts. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { monitoringPreflight, type Needs } from "../../../../components/monitoring/preflight.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { runChecks } from "../../../support/preflight.ts";

const CLAIM = "/api/v1/namespaces/istio-lab-observability/persistentvolumeclaims/prometheus";
const DEFAULT = { "storageclass.kubernetes.io/is-default-class": "true" };
const classes = (...items: { name: string; annotations?: object }[]) => ({
  "/apis/storage.k8s.io/v1/storageclasses": { items: items.map((metadata) => ({ metadata })) },
});
const volumes = (...storageClassNames: (string | undefined)[]) => ({
  "/api/v1/persistentvolumes": {
    items: storageClassNames.map((storageClassName) => ({ metadata: {}, spec: { storageClassName } })),
  },
});

const faults = async (paths: Paths, storage?: { size: string; storageClass?: string }) => {
  const deployed = { image: "prometheus", retention: "24h", memory: "512Mi", storage };
  return (await findingsOf({ scrapeSeconds: 15, standIn: false, deployed }, paths)).faults;
};

async function findingsOf(monitoring: Needs["monitoring"], paths: Paths = {}) {
  const istio = { gateway: { namespace: "gateways" } };
  return runChecks(monitoringPreflight, (await apiOf(paths)).api, { monitoring, istio });
}

it.each([
  ["the samples are in an emptyDir", {}, undefined],
  ["there is such a class", classes({ name: "fast" }), { size: "1Gi", storageClass: "fast" }],
  ["there is a volume of that class", volumes("fast"), { size: "1Gi", storageClass: "fast" }],
  ["the claim is bound", { [CLAIM]: { status: { phase: "Bound" } } }, { size: "1Gi", storageClass: "gone" }],
  ["there is a default class", classes({ name: "fast", annotations: DEFAULT }), { size: "1Gi" }],
  ["classes may not be listed", { "/apis/storage.k8s.io/v1/storageclasses": 403 }, { size: "1Gi" }],
  ["volumes may not be listed", { "/api/v1/persistentvolumes": 403 }, { size: "1Gi" }],
  ["there is a volume without a class", volumes(undefined), { size: "1Gi" }],
])("no fault where %s", async (_, paths, storage) => {
  expect(await faults(paths, storage)).toEqual([]);
});

it("a class that is missing: the fault names those that are there", async () => {
  const paths = { ...classes({ name: "slow" }, { name: "ssd" }), ...volumes("other") };
  const [fault, ...others] = await faults(paths, { size: "1Gi", storageClass: "fast" });
  expect(others).toEqual([]);
  expect(fault).toMatch(
    /^monitoring\.storage\.storageClass is fast, and cluster .*: set .* to one of slow, ssd$/,
  );
});

it("no class given and no default one", async () => {
  const [fault] = await faults({ ...classes({ name: "slow" }), ...volumes("slow") }, { size: "1Gi" });
  expect(fault).toMatch(/^monitoring\.storage names no storageClass.*no default one: set .* to one of slow$/);
});

it("a cluster without any", async () => {
  const [fault] = await faults({}, { size: "1Gi" });
  expect(fault).toContain("make a StorageClass or a PersistentVolume, or leave monitoring.storage out");
});

const claim = (storage: string, storageClassName?: string) => ({
  [CLAIM]: { spec: { storageClassName, resources: { requests: { storage } } }, status: { phase: "Bound" } },
});

it.each([
  ["is as large", claim("1Gi", "fast"), { size: "1024Mi", storageClass: "fast" }],
  ["is smaller, and may grow", claim("1Gi", "fast"), { size: "2Gi", storageClass: "fast" }],
  ["has the class that was the default one", claim("1Gi", "standard"), { size: "1Gi" }],
])("no fault where the claim %s", async (_, paths, storage) => {
  expect(await faults(paths, storage)).toEqual([]);
});

it("a claim cannot shrink or change its class: both are reported, with the way out", async () => {
  const found = await faults(
    { ...classes({ name: "slow" }), ...claim("2Gi", "fast") },
    {
      size: "1Gi",
      storageClass: "slow",
    },
  );
  expect(found).toEqual([
    expect.stringMatching(
      /^monitoring\.storage\.size is 1Gi, .* has 2Gi, which cannot shrink: set 2Gi or more/,
    ),
    expect.stringMatching(
      /^monitoring\.storage\.storageClass is slow, .* has fast, which cannot change: set fast/,
    ),
  ]);
  expect(found.join()).toContain("monitoring.enabled false, pulumi up, then on again");
});

/** A server of that answer; its address. */
async function prometheusOf(status: number, body: string, type = "application/json"): Promise<string> {
  const server = createServer((_, response) =>
    response.writeHead(status, { "content-type": type }).end(body),
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it.each([
  [200, '{"status":"success"}'],
  [401, "Unauthorized"],
])("no warning where monitoring.url answers HTTP %d with %s", async (status, body) => {
  const url = await prometheusOf(status, body);
  expect(await findingsOf({ scrapeSeconds: 15, standIn: false, url })).toMatchObject({
    faults: [],
    warnings: [],
  });
});

it("an address without a Prometheus is a warning, not a fault", async () => {
  const url = await prometheusOf(200, "<html>", "text/html");
  const { faults, warnings } = await findingsOf({ scrapeSeconds: 15, standIn: false, url });
  expect(faults).toEqual([]);
  expect(warnings).toEqual([expect.stringContaining(`monitoring.url is ${url}, and from this machine`)]);
  expect(warnings[0]).toContain("Is it the page of a proxy or of Grafana?");
});

it("a Telemetry that switches off what the dashboard reads is a warning, except for the stand-in", async () => {
  const telemetry = (namespace: string, override: object) => ({
    [`/apis/telemetry.istio.io/v1/namespaces/${namespace}/telemetries`]: {
      items: [{ metadata: { name: "quiet", namespace }, spec: { metrics: [{ overrides: [override] }] } }],
    },
  });
  const paths = {
    ...telemetry("istio-system", { disabled: true }),
    ...telemetry("gateways", { match: { metric: "REQUEST_SIZE" }, disabled: true }),
  };
  const { faults, warnings } = await findingsOf({ scrapeSeconds: 15, standIn: false }, paths);
  expect(faults).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /^Telemetry istio-system\/quiet of .* switches off ALL_METRICS, which monitoring reads/,
    ),
  ]);
  expect((await findingsOf({ scrapeSeconds: 15, standIn: true }, paths)).warnings).toEqual([]);
});
