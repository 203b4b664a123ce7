/** Whether an object is ready, by the rules of the official provider. */
import { isObject, type Properties, type Value } from "../values.ts";
import type { KubernetesObject } from "./cluster.ts";

/** The objects of a kind; undefined before the first list. */
export type Known = (kind: string) => readonly KubernetesObject[] | undefined;

export interface Verdict {
  readonly ready: boolean;
  /** Lines that are shown during the wait. */
  readonly statuses: readonly { readonly severity: "info" | "warning"; readonly text: string }[];
  /** Why the object is not ready; reported at the end of the wait. */
  readonly reasons: readonly string[];
}

export interface Rule {
  /** The kinds whose changes matter, the object's own kind among them. */
  readonly kinds: readonly { readonly apiVersion: string; readonly kind: string }[];
  /**
   * @param live the object now
   * @param written the object after the write
   */
  judge(live: KubernetesObject, known: Known, written: KubernetesObject): Verdict;
}

/** A kind without a rule is ready when it is written. */
export const RULES: Readonly<Record<string, Rule>> = {
  "apps/v1/Deployment": {
    kinds: [
      { apiVersion: "apps/v1", kind: "Deployment" },
      { apiVersion: "apps/v1", kind: "ReplicaSet" },
      { apiVersion: "v1", kind: "Pod" },
      { apiVersion: "v1", kind: "PersistentVolumeClaim" },
    ],
    judge: judgeDeployment,
  },
};

const REVISION = "deployment.kubernetes.io/revision";
const UNKNOWN_YET: Verdict = { ready: false, statuses: [], reasons: [] };

function judgeDeployment(live: KubernetesObject, known: Known, written: KubernetesObject): Verdict {
  const [sets, pods, claims] = ["ReplicaSet", "Pod", "PersistentVolumeClaim"].map(known);
  const { status } = parts(live);
  const current = number(live.metadata.generation) >= number(written.metadata.generation);
  const observed = number(status.observedGeneration) === number(live.metadata.generation);
  if (!sets || !pods || !claims || !current || !observed)
    return { ...UNKNOWN_YET, reasons: ["Minimum number of live Pods was not attained"] };
  const revision = live.metadata.annotations?.[REVISION];
  const set = sets.find((each) => owns(live, each) && each.metadata.annotations?.[REVISION] === revision);
  const wanted = number(set && parts(set).spec.replicas, 1);
  const ready = number(set && parts(set).status.readyReplicas);
  const complete = set !== undefined && ready >= wanted && isUpdated(live);
  const [available, progressing] = [condition(live, "Available"), condition(live, "Progressing")];
  const rolledOut = progressing?.reason === "NewReplicaSetAvailable" && progressing.status === "True";
  // The first revision has no rollout.
  const first = revision === "1";
  const failing = [progressing, available].flatMap((each) =>
    each && each.status !== "True" ? [`[${String(each.reason)}] ${String(each.message)}`] : [],
  );
  const reasons = [
    ...failing,
    ...shortfall({ available: available?.status === "True", rolledOut: first || rolledOut, complete, first }),
    ...(set ? pods.filter((pod) => owns(set, pod)).flatMap(podFaults) : []),
  ];
  return {
    ready: available?.status === "True" && complete && (first || rolledOut),
    statuses: [
      ...failing.map((text) => ({ severity: "warning" as const, text })),
      ...(complete || set === undefined
        ? []
        : [
            {
              severity: "info" as const,
              text: `Waiting for app ReplicaSet to be available (${ready}/${wanted} Pods available)`,
            },
          ]),
    ],
    reasons,
  };
}

/**
 * Whether all pods belong to the new ReplicaSet. When replicas and pod template change together, the
 * controller scales the previous ReplicaSet first. At that moment it has observed the generation but not
 * begun the rollout, and the conditions are the previous ones. The official provider returns at that moment.
 */
function isUpdated(live: KubernetesObject): boolean {
  const { spec, status } = parts(live);
  const wanted = number(spec.replicas, 1);
  return number(status.updatedReplicas) === wanted && number(status.replicas) === wanted;
}

function shortfall(is: {
  available: boolean;
  rolledOut: boolean;
  complete: boolean;
  first: boolean;
}): string[] {
  if (!is.available) return ["Minimum number of live Pods was not attained"];
  if (!is.rolledOut || (is.first && !is.complete))
    return ["Minimum number of Pods to consider the application live was not attained"];
  return is.complete
    ? []
    : ["Attempted to roll forward to new ReplicaSet, but minimum number of Pods did not become live"];
}

/** The faults of a pod that the kubelet and the scheduler report. */
export function podFaults(pod: KubernetesObject): string[] {
  const { status } = parts(pod);
  const name = `[Pod ${pod.metadata.namespace}/${pod.metadata.name}]`;
  const containers = [status.initContainerStatuses, status.containerStatuses]
    .flatMap((list) => (Array.isArray(list) ? list : []))
    .filter(isObject);
  const waiting = containers.flatMap((container) => {
    const state = isObject(container.state) ? container.state : {};
    const cause = [state.waiting, state.terminated].find(isObject);
    if (
      ["", "undefined", "Completed", "PodInitializing", "ContainerCreating"].includes(String(cause?.reason))
    )
      return [];
    return [`${name}: [${String(cause?.reason)}] ${String(cause?.message ?? container.name)}`];
  });
  const conditions = ["PodScheduled", "ContainersReady"].flatMap((type) => {
    const found = condition(pod, type);
    return found?.status === "False" && found.message ? [`${name}: ${String(found.message)}`] : [];
  });
  return [...waiting, ...conditions];
}

function owns(owner: KubernetesObject, { metadata }: KubernetesObject): boolean {
  const references = (metadata.ownerReferences ?? []) as Properties[];
  return references.some(({ uid }) => uid !== undefined && uid === owner.metadata.uid);
}

function condition(live: KubernetesObject, type: string): Record<string, Value> | undefined {
  const { conditions } = parts(live).status;
  return Array.isArray(conditions)
    ? conditions.filter(isObject).find((each) => each.type === type)
    : undefined;
}

function parts({ spec, status }: KubernetesObject) {
  return { spec: isObject(spec) ? spec : {}, status: isObject(status) ? status : {} };
}

function number(value: Value | undefined, otherwise = 0): number {
  return typeof value === "number" ? value : otherwise;
}
