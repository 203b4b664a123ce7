/** Which pods do not start, and why, in the words of the API server, the scheduler and the kubelet. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";

interface ContainerStatus {
  readonly name: string;
  readonly image?: string;
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
  readonly lastState?: { readonly terminated?: { readonly exitCode?: number; readonly reason?: string } };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** As the API server has it. */
export interface Pod extends KubernetesObject {
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** As the API server has it. */
export interface Deployment extends KubernetesObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface Warning {
  /** Warnings of one key say the same. */
  readonly key: string;
  readonly message: string;
}

/** Why a pod does not start. */
export interface Stall {
  readonly cause: "image" | "place" | "configuration" | "crash";
  /** The same for all pods that stall for the same reason. */
  readonly key: string;
  /** Without the pod's name. */
  readonly words: string;
}

/** The API server's words where it refuses the pods of a Deployment, or the ReplicaSet that makes them. */
export function refusedPods({ status }: Deployment): string[] {
  return (status?.conditions ?? [])
    .filter(
      ({ type, status, reason }) =>
        (type === "ReplicaFailure" && status === "True") ||
        (type === "Progressing" && status === "False" && reason === "ReplicaSetCreateError"),
    )
    .map(({ message = "" }) => message);
}

/** None where the user may not list them: the report is a help, not a need. */
export async function podsOf(api: KubernetesApi, namespace: string, labelSelector: string): Promise<Pod[]> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  return (await api.list<Pod>(path, { labelSelector }).catch(() => ({ items: [] }))).items;
}

const IMAGE = /^(ErrImage|ImagePullBackOff|InvalidImageName|ImageInspectError|RegistryUnavailable)/;
const CONFIGURATION = /^(CreateContainer|RunContainer|PreCreateHook|PostStartHook)\w*Error$/;

/** Everything that keeps a pod from starting; nothing where it only has not started yet. */
export function stallsOf({ metadata, status }: Pod): Stall[] {
  if (metadata.deletionTimestamp !== undefined) return [];
  const place = status?.conditions?.find(
    ({ type, status, reason }) => type === "PodScheduled" && status === "False" && reason === "Unschedulable",
  );
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const stalls = containers.flatMap((container) => stallOf(container) ?? []);
  if (!place) return stalls;
  const words = `no node takes them: ${place.message ?? "the scheduler gives no reason"}`;
  return [{ cause: "place", key: "place", words }, ...stalls];
}

function stallOf({ name, image = "", state, lastState }: ContainerStatus): Stall | undefined {
  const { reason = "", message = "" } = state?.waiting ?? {};
  const because = message ? `${reason}: ${message}` : reason;
  const stall = (cause: Stall["cause"], words: string): Stall => ({
    cause,
    key: `${cause} ${name} ${image}`,
    words: `container ${name} ${words}`,
  });
  if (IMAGE.test(reason)) return stall("image", `has no image ${image}: ${because}`);
  if (CONFIGURATION.test(reason)) return stall("configuration", `cannot be made: ${because}`);
  if (reason !== "CrashLoopBackOff") return undefined;
  const { exitCode, reason: end = "Error" } = lastState?.terminated ?? {};
  return stall(
    "crash",
    `ends again and again (${end}${exitCode === undefined ? "" : `, exit status ${exitCode}`})`,
  );
}
