/** Tests of components/monitoring/preflight.ts. */
import { expect, it } from "vitest";
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
  const deployed = { image: "prometheus", retention: "24h", storage };
  const monitoring: Needs["monitoring"] = { scrapeSeconds: 15, standIn: false, deployed };
  return (await runChecks(monitoringPreflight, (await apiOf(paths)).api, { monitoring })).faults;
};

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
