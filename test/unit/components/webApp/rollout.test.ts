/** Tests of components/webApp/rollout.ts. */
import { expect, it, vi } from "vitest";
import { untilRolledOut } from "../../../../components/webApp/rollout.ts";
import { answerWith, server } from "../../../support/queuedAnswers.ts";

vi.mock("../../../../clients/kubernetes.ts", () => import("../../../support/queuedAnswers.ts"));

const COMPLETE = { type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" };

/** A Deployment of two pods, of the second generation. */
const deployment = (observed: number, updated: number, replicas: number, progressing: object = COMPLETE) => ({
  metadata: { name: "nginx-v116", generation: 2 },
  spec: { replicas: 2 },
  status: {
    observedGeneration: observed,
    updatedReplicas: updated,
    replicas,
    conditions: [{ type: "Available", status: "True" }, progressing],
  },
});

/** How often a Deployment is read again until the wait ends. */
async function readsAgain(...looks: (object | undefined)[]): Promise<number> {
  answerWith(...looks);
  let pauses = 0;
  try {
    await untilRolledOut(["shop/nginx-v116"], {}, async () => pauses++);
    return pauses;
  } finally {
    expect(server.answers).toEqual([]);
  }
}

it("waits until the controller has seen the write, and all pods are of the new template", async () => {
  const rolling = { ...COMPLETE, reason: "ReplicaSetUpdated" };
  const end = deployment(2, 2, 2);
  expect(await readsAgain(end)).toBe(0);
  // The status is from before the write; the provider takes it for the end of the rollout.
  expect(await readsAgain(deployment(1, 2, 2), end)).toBe(1);
  // The controller has observed the write; the condition is still the previous rollout's.
  expect(await readsAgain(deployment(2, 0, 2), deployment(2, 1, 3, rolling), end)).toBe(2);
  expect(await readsAgain(deployment(2, 2, 3, rolling), deployment(2, 2, 2, rolling), end)).toBe(2);
  expect(new Set(server.paths)).toEqual(new Set(["/apis/apps/v1/namespaces/shop/deployments/nginx-v116"]));
});

it("waits for each of several", async () => {
  answerWith(deployment(2, 2, 2), deployment(2, 2, 2));
  await untilRolledOut(["shop/nginx-v116", "shop/nginx-v117"], {});
  expect(server.paths.map((path) => path.split("/").at(-1))).toEqual(["nginx-v116", "nginx-v117"]);
});

it("ends with the controller's words when a rollout does not go on, is paused, or its Deployment is deleted", async () => {
  const late = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" };
  const message = 'ReplicaSet "nginx-v116-1" has timed out progressing.';
  await expect(readsAgain(deployment(2, 1, 3, { ...late, message }))).rejects.toThrow(
    `Deployment shop/nginx-v116 does not roll out: ${message}; kubectl describe pods --namespace=shop says why`,
  );
  const paused = { ...deployment(1, 0, 2), spec: { replicas: 2, paused: true } };
  await expect(readsAgain(paused)).rejects.toThrow(
    "it is paused: kubectl rollout resume deployment nginx-v116 --namespace=shop",
  );
  await expect(readsAgain(undefined)).rejects.toThrow(/nginx-v116 does not roll out: it was deleted/);
});

it("ends in plain words when the cluster does not answer", async () => {
  await expect(readsAgain(new Error("connection refused"))).rejects.toThrow(
    /^the rollout cannot be watched: connection refused; run pulumi up again$/,
  );
});
