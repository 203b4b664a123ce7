/** Waits for rollouts: Pulumi's provider can report a Deployment before its rollout has begun. */
import { setTimeout as delay } from "node:timers/promises";
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { KubernetesApi, KubernetesObject, Selection } from "../../clients/kubernetes.ts";
import { sharedApi } from "../../clients/sharedApi.ts";

interface Deployment extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & { readonly generation?: number };
  readonly spec?: { readonly replicas?: number; readonly paused?: boolean };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}

/** Between two reads of a Deployment. */
const PERIOD_MS = 500;

/**
 * Ends the update only when no pod of a previous template is left. The provider takes the first event of a
 * watch for the end of the rollout, even an event from before the write. Does nothing in a preview.
 */
export function awaitRollouts(
  deployments: readonly k8s.apps.v1.Deployment[],
  cluster: Selection,
): pulumi.Output<string[]> {
  return pulumi.all(deployments.map(({ id }) => id)).apply(async (ids) => {
    // With --target, a Deployment that is not made has an empty id.
    const made = ids.filter((id) => id);
    if (!pulumi.runtime.isDryRun() && made.length > 0) await untilRolledOut(made, cluster);
    return made;
  });
}

/**
 * @param ids `namespace/name` of each Deployment
 * @param pause between two reads. @default half a second
 * @throws ResourceError when a rollout does not go on, by the controller's own judgement, and when the
 * cluster does not answer
 */
export async function untilRolledOut(
  ids: readonly string[],
  cluster: Selection,
  pause: () => Promise<unknown> = () => delay(PERIOD_MS),
): Promise<void> {
  try {
    const api = await sharedApi(cluster);
    for (const id of ids) while (!(await isRolledOut(api, id))) await pause();
  } catch (error) {
    if (pulumi.ResourceError.isInstance(error)) throw error;
    const { message } = error as Error;
    const advice = "run pulumi up again";
    throw new pulumi.ResourceError(`the rollout cannot be watched: ${message}; ${advice}`, undefined, true);
  }
}

async function isRolledOut(api: KubernetesApi, id: string): Promise<boolean> {
  const [namespace, name] = id.split("/");
  const live = await api.get<Deployment>(`/apis/apps/v1/namespaces/${namespace}/deployments/${name}`);
  const fail = (why: string): never => {
    throw new pulumi.ResourceError(`Deployment ${id} does not roll out: ${why}`, undefined, true);
  };
  if (live === undefined) return fail("it was deleted during the update; run pulumi refresh, then pulumi up");
  const { metadata, spec, status } = live;
  if (spec?.paused)
    return fail(`it is paused: kubectl rollout resume deployment ${name} --namespace=${namespace}`);
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0)) return false;
  const progressing = status?.conditions?.find(({ type }) => type === "Progressing");
  if (progressing?.status === "False")
    return fail(`${progressing.message}; kubectl describe pods --namespace=${namespace} says why`);
  // The condition can still be the previous rollout's; then not all pods are of the new template.
  const complete = progressing?.reason === "NewReplicaSetAvailable";
  return complete && status?.updatedReplicas === spec?.replicas && status?.replicas === spec?.replicas;
}
