/** Tests of embedded/plugins/kubernetes/awaiting.ts. */
import { describe, expect, test } from "vitest";
import {
  configMap,
  deployment,
  failureOf,
  fakeCluster,
  PATHS,
  TYPES,
  widget,
} from "../../../../support/kubernetesProvider.ts";

const PATIENCE = { timeout: 20_000 };
const SET = "/apis/apps/v1/namespaces/default/replicasets/web-1";
const { api, it } = await fakeCluster();

const watched = (plural: string) =>
  expect.poll(
    () => api.requests.some(({ path, query }) => path.endsWith(`/${plural}`) && query.watch === "true"),
    PATIENCE,
  );

/** A rollout of the first revision as the Deployment controller reports it. */
function rollOut(ready: number, { generation = 1, available = true, updated = 2, replicas = 2 } = {}): void {
  api.put(SET, {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: "web-1",
      namespace: "default",
      uid: "rs",
      annotations: { "deployment.kubernetes.io/revision": "1" },
      ownerReferences: [{ uid: "u" }],
    },
    spec: { replicas: 2 },
    status: { readyReplicas: ready },
  });
  const live = api.get(PATHS.deployment);
  const metadata = {
    ...live?.metadata,
    name: "web",
    uid: "u",
    annotations: { "deployment.kubernetes.io/revision": "1" },
  };
  const condition = available
    ? { type: "Available", status: "True" }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  const status = {
    observedGeneration: generation,
    conditions: [condition],
    updatedReplicas: updated,
    replicas,
  };
  api.put(PATHS.deployment, { ...live, metadata, status } as never);
}

describe("a Deployment", () => {
  test("is ready when its rollout is done", async () => {
    const creation = it.create(TYPES.deployment, deployment);
    await watched("deployments").toBe(true);
    rollOut(1, { available: false });
    await expect
      .poll(() => it.lines, PATIENCE)
      .toContainEqual({
        severity: "warning",
        text: "[MinimumReplicasUnavailable] Deployment does not have minimum availability.",
      });
    await expect
      .poll(() => it.texts, PATIENCE)
      .toContain("Waiting for app ReplicaSet to be available (1/2 Pods available)");
    rollOut(2, { generation: 0 });
    rollOut(2);
    expect((await creation).outputs.status).toMatchObject({ observedGeneration: 1 });
  });

  test("whose previous ReplicaSet was scaled, and no more, is not ready: its rollout has not begun", async () => {
    const creation = failureOf(it.create(TYPES.deployment, deployment, { timeoutSeconds: 1 }));
    await watched("deployments").toBe(true);
    // The state between the controller's change of replicas and its change of the template.
    rollOut(2, { updated: 0, replicas: 3 });
    expect((await creation).message).toMatch(/timed out waiting to be Ready/);
  });

  test("is waited for by list and watch of four kinds", async () => {
    const creation = it.create(TYPES.deployment, deployment);
    for (const plural of ["deployments", "replicasets", "pods", "persistentvolumeclaims"])
      await watched(plural).toBe(true);
    rollOut(2);
    await creation;
  });

  test("with a kind that must not be listed fails, and is recorded", async () => {
    for (const plural of ["replicasets", "persistentvolumeclaims", "pods"]) {
      api.reset();
      api.forbidden.add(plural);
      const error = await failureOf(it.create(TYPES.deployment, deployment));
      expect(error.message).toMatch(/was successfully created, but.*cannot be waited for: .* is forbidden/);
      expect(error).toMatchObject({
        id: "default/web",
        reasons: [expect.anything(), "Minimum number of live Pods was not attained"],
      });
    }
  });

  test("that is not ready in time is recorded", async () => {
    const error = await failureOf(it.create(TYPES.deployment, deployment, { timeoutSeconds: 0.5 }));
    expect(error.message).toMatch(/was successfully created, but.*'web' timed out waiting to be Ready/);
    expect(error).toMatchObject({ id: "default/web", outputs: { kind: "Deployment", __inputs: deployment } });
  });

  test("that does not come up is recorded with its pods' faults", async () => {
    api.put("/api/v1/namespaces/default/pods/web-1", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web-1", namespace: "default", ownerReferences: [{ uid: "rs" }] },
      status: {
        containerStatuses: [
          { name: "nginx", state: { waiting: { reason: "ImagePullBackOff", message: "no" } } },
        ],
      },
    });
    const creation = failureOf(it.create(TYPES.deployment, deployment));
    await watched("deployments").toBe(true);
    rollOut(0, { available: false });
    // The ReplicaSet comes by another watch than the Deployment, and the pod is judged with it.
    await expect
      .poll(() => it.texts, PATIENCE)
      .toContain("Waiting for app ReplicaSet to be available (0/2 Pods available)");
    it.provider.cancel();
    expect((await creation).reasons).toContain("[Pod default/web-1]: [ImagePullBackOff] no");
  });

  test("is given up at an interrupt, and recorded", async () => {
    const creation = failureOf(it.create(TYPES.deployment, deployment));
    await watched("deployments").toBe(true);
    it.provider.cancel();
    expect((await creation).message).toMatch(/Resource operation was cancelled for "web"/);
  });
});

describe("delete", () => {
  const held = () =>
    api.put(PATHS.configMap, { ...configMap, metadata: { name: "page", finalizers: ["busy"] } } as never);

  test("waits until the object is gone", async () => {
    held();
    let done = false;
    const deletion = it.delete(TYPES.configMap, "default/page", configMap).then(() => {
      done = true;
    });
    await watched("configmaps").toBe(true);
    expect(done).toBe(false);
    expect(it.writes).toMatchObject([{ method: "DELETE", body: { propagationPolicy: "Foreground" } }]);
    api.remove(PATHS.configMap);
    await deletion;
  });

  test("gives up at the end of the time, and names the finalizers", async () => {
    held();
    await expect(it.delete(TYPES.configMap, "default/page", configMap, 2)).rejects.toThrow(
      'timed out after 2 s while waiting for ConfigMap "page" to be deleted',
    );
    expect(it.texts).toContain("finalizers might be preventing deletion (busy)");
  });

  test("without the right to list the kind fails", async () => {
    held();
    api.forbidden.add("configmaps");
    await expect(it.delete(TYPES.configMap, "default/page", configMap)).rejects.toThrow(/is forbidden/);
  });

  test("is done when the object or its kind is gone", async () => {
    await it.delete(TYPES.configMap, "default/page", configMap);
    await it.delete(TYPES.widget, "default/w", widget);
  });
});
