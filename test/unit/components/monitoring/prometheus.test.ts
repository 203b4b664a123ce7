/** Tests of components/monitoring/prometheus.ts. */
import { expect, test } from "vitest";
import { claimOf, deploymentOf, retentionSize } from "../../../../components/monitoring/prometheus.ts";

const ARGS = { image: "prom/prometheus", retention: "24h", memory: "1Gi", configHash: "x", owner: "o" };

interface Pod {
  readonly containers: readonly { readonly args: readonly string[]; readonly resources: object }[];
  readonly volumes: readonly Record<string, unknown>[];
}

const podOf = (change: Partial<Parameters<typeof deploymentOf>[0]> = {}) =>
  (deploymentOf({ ...ARGS, ...change }).spec as unknown as { template: { spec: Pod } }).template.spec;

test("samples in an emptyDir: bounded, so that they cannot fill the node's disk", () => {
  const { volumes, containers } = podOf();
  expect(volumes).toContainEqual({ name: "data", emptyDir: { sizeLimit: "2Gi" } });
  expect(containers[0]?.args).toContain("--storage.tsdb.retention.time=24h");
  expect(containers[0]?.args).toContain("--storage.tsdb.retention.size=1638MB");
});

test("the memory of the settings is the limit", () => {
  expect(podOf().containers[0]?.resources).toMatchObject({ limits: { memory: "1Gi" } });
});

test("samples in a volume: of the size and class, and the oldest go before it is full", () => {
  const storage = { size: "10Gi", storageClass: "fast" };
  const { volumes, containers } = podOf({ storage });
  expect(volumes).toContainEqual({ name: "data", persistentVolumeClaim: { claimName: "prometheus" } });
  expect(containers[0]?.args).toContain("--storage.tsdb.retention.size=8192MB");
  expect(claimOf(storage)).toEqual({
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "10Gi" } },
    storageClassName: "fast",
  });
  expect(claimOf({ size: "1Gi" })).not.toHaveProperty("storageClassName");
});

test.each([
  ["1Gi", "819MB"],
  ["1G", "762MB"],
  ["1.5Ti", "1258291MB"],
  ["500M", "381MB"],
  ["1073741824", "819MB"],
  ["1", "1MB"],
])("of %s four fifths are for samples: %s", (size, expected) => {
  expect(retentionSize(size)).toBe(expected);
});
