/** Why Prometheus in the cluster does not answer: the state of its pod, in Kubernetes' own words. */
import { type KubernetesApi, unlessForbidden } from "../clients/kubernetes.ts";
import { PROMETHEUS_APP } from "../components/monitoring/prometheus.ts";

/** Undefined where the pod is well, or may not be listed. */
export async function prometheusTrouble(api: KubernetesApi, namespace: string): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const found = await unlessForbidden(api.list<Pod>(path, { labelSelector: `app=${PROMETHEUS_APP}` }));
  return found && troubleOf(found.items);
}

/** The part of a pod that is read. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly {
      readonly ready: boolean;
      readonly restartCount: number;
      readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
      readonly lastState?: { readonly terminated?: { readonly reason?: string; readonly exitCode?: number } };
    }[];
  };
}

/** Of the newest pod that is not being deleted. */
export function troubleOf(pods: readonly Pod[]): string | undefined {
  const [newest] = pods
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .sort((a, b) => createdAt(b) - createdAt(a));
  if (!newest) return "it has no pod";
  const what = ofPod(newest.status);
  return what && `its pod ${newest.metadata.name} ${what}`;
}

const createdAt = ({ metadata }: Pod) => Date.parse(metadata.creationTimestamp ?? "") || 0;

function ofPod(status: Pod["status"]): string | undefined {
  const { phase, reason, message, conditions = [], containerStatuses = [] } = status ?? {};
  if (phase === "Failed") return `has failed: ${words(reason, message)}`;
  const unscheduled = conditions.find((one) => one.type === "PodScheduled" && one.status === "False");
  if (unscheduled) return `has no node: ${words(unscheduled.reason, unscheduled.message)}`;
  const [container] = containerStatuses;
  if (!container) return "is not started yet";
  if (container.ready) return undefined;
  const { waiting } = container.state ?? {};
  const ended = container.lastState?.terminated;
  const ends = ended && endOf(ended.reason, ended.exitCode, container.restartCount);
  // Where a container has ended, the message of its wait only repeats its name.
  const waits = waiting && `waits: ${words(waiting.reason, ends ? undefined : waiting.message)}`;
  return [ends, waits].filter(Boolean).join(" and ") || "is not ready";
}

function endOf(reason = "Error", exitCode: number | undefined, restarts: number): string {
  const times = `after ${restarts} ${restarts === 1 ? "restart" : "restarts"}`;
  return reason === "OOMKilled"
    ? `has run out of memory (OOMKilled; monitoring.memory is its limit) ${times}`
    : `has ended (${reason}, exit code ${exitCode ?? "unknown"}) ${times}`;
}

/** E.g. `ImagePullBackOff: Back-off pulling image …`. */
const words = (...parts: (string | undefined)[]) => parts.filter(Boolean).join(": ") || "no reason is given";
