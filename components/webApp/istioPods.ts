/** Why pods of the Istio that the stack installs are not made, or do not start. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { wayOutOfIstio } from "../istio/podCheck.ts";
import { type Deployment, podsOf, refusedPods, type Stall, stallsOf, type Warning } from "./stalledPods.ts";

/** Everything that istioctl makes has this label. */
const INSTALLED = "install.operator.istio.io/owning-resource";

interface DaemonSet extends KubernetesObject {
  readonly status?: { readonly desiredNumberScheduled?: number; readonly currentNumberScheduled?: number };
}

interface Event extends KubernetesObject {
  readonly message?: string;
}

export async function stalledIstio(api: KubernetesApi): Promise<Warning[]> {
  const [refused, ...pods] = await Promise.all([
    refusedIstio(api),
    podsOf(api, ISTIO_NAMESPACE, INSTALLED),
    podsOf(api, ISTIO_NAMESPACE, "app=istiod"),
  ]);
  const stalled = pods.flat().flatMap((pod) =>
    stallsOf(pod).map(({ cause, key, words }) => {
      const part = pod.metadata.labels?.app ?? pod.metadata.labels?.["k8s-app"] ?? "Istio";
      const stall = `pods of ${part} in namespace ${ISTIO_NAMESPACE} do not start: ${words}`;
      return { key: `istio ${part} ${key}`, message: `${stall}: ${WAYS_OUT[cause]}` };
    }),
  );
  return [...refused, ...stalled];
}

const WAYS_OUT: Readonly<Record<Stall["cause"], string>> = {
  image: "set istio.hub and istio.tag to images that the nodes can pull",
  place: "give the cluster more room, or set smaller requests in istio.values (pilot.resources for istiod)",
  configuration: "look with kubectl describe pods --namespace=istio-system",
  crash: "look with kubectl logs --namespace=istio-system, or with kubectl describe pods",
};

/** istioctl waits for minutes, and does not say why. */
async function refusedIstio(api: KubernetesApi): Promise<Warning[]> {
  const apps = `/apis/apps/v1/namespaces/${ISTIO_NAMESPACE}`;
  const [deployments, daemonSets] = await Promise.all([
    listOf<Deployment>(api, `${apps}/deployments`),
    listOf<DaemonSet>(api, `${apps}/daemonsets`),
  ]);
  const ofDeployments = deployments.flatMap((deployment) =>
    refusedPods(deployment).map((words) => refusal("Deployment", deployment, words)),
  );
  const lacking = daemonSets.filter(
    ({ status: { desiredNumberScheduled = 0, currentNumberScheduled = 0 } = {} }) =>
      currentNumberScheduled < desiredNumberScheduled,
  );
  const ofDaemonSets = await Promise.all(lacking.map((daemonSet) => refusedByEvents(api, daemonSet)));
  return [...ofDeployments, ...ofDaemonSets.flat()];
}

/** A DaemonSet has no condition that says so. */
async function refusedByEvents(api: KubernetesApi, daemonSet: DaemonSet): Promise<Warning[]> {
  const fields = { kind: "DaemonSet", name: daemonSet.metadata.name, uid: daemonSet.metadata.uid };
  const fieldSelector = [
    "reason=FailedCreate",
    ...Object.entries(fields).flatMap(([field, value]) =>
      value ? [`involvedObject.${field}=${value}`] : [],
    ),
  ].join(",");
  const path = `/api/v1/namespaces/${ISTIO_NAMESPACE}/events`;
  const { items } = await api.list<Event>(path, { fieldSelector }).catch(() => ({ items: [] as Event[] }));
  const words = items.at(-1)?.message?.replace(/^Error creating: /, "");
  return words ? [refusal("DaemonSet", daemonSet, words)] : [];
}

function refusal(kind: string, { metadata: { name } }: KubernetesObject, words: string): Warning {
  const where = `${kind} ${name} in namespace ${ISTIO_NAMESPACE}`;
  const message = `${where} gets no pods: ${words}: ${wayOutOfIstio(words)}`;
  return { key: `istio ${kind} ${name}`, message };
}

async function listOf<T>(api: KubernetesApi, path: string): Promise<T[]> {
  const labelSelector = INSTALLED;
  return (await api.list<T>(path, { labelSelector }).catch(() => ({ items: [] }))).items;
}
