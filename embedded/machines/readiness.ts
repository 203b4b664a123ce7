/** Waits until a cluster that starts is ready: its nodes, its DNS, every Deployment. */
import { availableParallelism, loadavg } from "node:os";
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { until } from "../../clients/process.ts";
import { type KubernetesNode, sortNodes } from "../../components/cluster/nodes.ts";
import type { Instance } from "../host/instance.ts";
import { patience, VARIABLE } from "../host/patience.ts";
import { whileDaemonsRun } from "./daemons.ts";

interface Deployment extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & { readonly namespace: string };
  readonly status?: Conditions & { readonly availableReplicas?: number };
}

interface Pod extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & {
    readonly ownerReferences?: readonly { readonly kind: string }[];
  };
  readonly status?: Conditions;
}

interface Conditions {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

/** Between two reads, over a connection that stays open. */
const PERIOD_MS = 250;

/**
 * Resolves when all workers take pods: they lose the taint of a new node some time after they are Ready.
 *
 * @throws LabError that names the daemon that has ended, or what is not ready in time and how to wait longer
 */
export async function nodesReady(lab: Instance, api: KubernetesApi): Promise<void> {
  await waiting(lab, { what: "the nodes to be Ready", seconds: 120 }, async () => {
    const { items } = await api.list<KubernetesNode>("/api/v1/nodes");
    const usable = sortNodes(items).usable.map(({ name }) => name);
    return lab.workers.map(({ name }) => name).filter((name) => !usable.includes(name));
  });
}

/**
 * Resolves when names resolve.
 *
 * @throws LabError as {@link nodesReady} does
 */
export async function dnsReady(lab: Instance, api: KubernetesApi): Promise<void> {
  const path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns";
  await waiting(lab, { what: "the cluster's DNS to be Available", seconds: 120 }, async () => {
    const deployment = await api.get<Deployment>(path);
    return holds(deployment?.status, "Available") ? [] : ["kube-system/coredns"];
  });
}

/**
 * Resolves when every Deployment is Available, by the pods that are Ready now.
 *
 * @throws LabError as {@link nodesReady} does
 */
export async function deploymentsAvailable(lab: Instance, api: KubernetesApi): Promise<void> {
  await waiting(lab, { what: "every Deployment to be Available", seconds: 180 }, async () => {
    const { items: deployments } = await api.list<Deployment>("/apis/apps/v1/deployments");
    const { items: pods } = await api.list<Pod>("/api/v1/pods");
    const missing = deployments.filter(({ status }) => !holds(status, "Available"));
    if (missing.length > 0) return missing.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`);
    // Their status can be from before pods were deleted. It then counts more pods than there are.
    const counted = deployments.reduce((sum, { status }) => sum + (status?.availableReplicas ?? 0), 0);
    const ready = pods.filter((pod) => isOfReplicaSet(pod) && holds(pod.status, "Ready"));
    return ready.length < counted ? [`${counted - ready.length} pods`] : [];
  });
}

const holds = (status: Conditions | undefined, condition: string) =>
  status?.conditions?.some(({ type, status }) => type === condition && status === "True") ?? false;

const isOfReplicaSet = ({ metadata: { ownerReferences = [], deletionTimestamp } }: Pod) =>
  deletionTimestamp === undefined && ownerReferences.some(({ kind }) => kind === "ReplicaSet");

/**
 * Waits while the cluster's daemons run.
 *
 * @param missing the names of what is not ready; where it fails, its error counts as not ready
 */
async function waiting(
  lab: Instance,
  { what, seconds }: { readonly what: string; readonly seconds: number },
  missing: () => Promise<readonly string[]>,
): Promise<void> {
  let names: readonly string[] = [];
  await whileDaemonsRun([lab.controlPlane, ...lab.workers], (signal) =>
    until(
      what,
      async () => {
        signal.throwIfAborted();
        names = await missing().catch((error: Error) => [error.message]);
        return names.length === 0;
      },
      {
        timeoutMs: patience(seconds) * 1000,
        intervalMs: PERIOD_MS,
        hint: async () => `Not ready: ${names.join(", ")}\n${onSlowHost()}`,
      },
    ),
  );
}

function onSlowHost(): string {
  const load = loadavg()[0]?.toFixed(1);
  return (
    `Every daemon runs. The host's load is ${load} on ${availableParallelism()} processors: ` +
    `./lab up goes on from here, and ${VARIABLE}=5 waits five times as long.`
  );
}
