import * as pulumi from "@pulumi/pulumi";
import { ApiError, KubernetesApi, type KubernetesObject } from "../clients/kubernetes.ts";
import { askLoadBalancer, type LoadBalancerAccess } from "../components/haproxyEdge/preflight.ts";
import { minorOf, oldestKubernetes } from "../components/istio/versions.ts";
import { readRoutedSubsets } from "../components/trafficSplit/preflight.ts";
import { labelFaults } from "../components/webApp/preflight.ts";
import type { Subset } from "../mesh/model.ts";
import { adviceOn } from "./advice.ts";
import { Fault } from "./fault.ts";
import { istioFaults, objectFaults } from "./ownership.ts";
import { permissionFaults } from "./permissions.ts";
import { toolFaults } from "./tools.ts";

/** What the program must know of a cluster before it declares anything. */
export interface Cluster {
  /** UID of namespace kube-system: the cluster's identity, whatever its kubeconfig is called. */
  readonly id: string;
  /** Ready, schedulable nodes with their InternalIP, by name. */
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
  /** The subsets that the application's requests go to now; none where nobody can be asking yet. */
  readonly routed: readonly Subset[];
  /** Edits by hand that the load balancer holds, by hash. @default it was not looked at */
  readonly edits?: readonly string[] | undefined;
}

export interface ClusterArgs {
  /** Path of the kubeconfig; empty is KUBECONFIG or ~/.kube/config. */
  readonly kubeconfig: string;
  /** Context in it; empty is the current one. */
  readonly context: string;
  /** Namespace that has to exist. */
  readonly namespace: string;
  /** True: the nodes are wanted, and there must be one. */
  readonly wantNodes: boolean;
  /** The stack, as it stands in the annotation istio-lab/owner of what it makes. */
  readonly owner: string;
  /** The application's versions. */
  readonly versions: readonly Subset[];
  /** True: the ingress gateway serves https itself. */
  readonly gatewayTls: boolean;
  readonly istio: {
    /** Istio's version, e.g. `1.31.0`. */
    readonly version: string;
    /** False: Istio is somebody else's. */
    readonly manage: boolean;
  };
  /** The machine that is pushed to. @default not looked at */
  readonly loadBalancer?: LoadBalancerAccess | undefined;
}

/** For one answer: a server that is silent is reported within 10 s of the command's start. */
const ANSWER_MS = 4000;
/** For everything, so that an error comes within 10 s. */
const LIMIT_MS = 9000;

/**
 * Asks the cluster who it is, and looks for every reason why an update of the stack would fail half-way, there and at the
 * load balancer: before anything is touched, at preview too.
 * @throws pulumi.RunError, within 10 s, that lists every fault, one a line.
 */
export async function readCluster(args: ClusterArgs): Promise<Cluster> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const [tools, { faults, cluster }, machine] = await Promise.all([
    toolFaults(args.istio, signal),
    inspect(args, signal).catch(onlyFault),
    args.loadBalancer && askLoadBalancer(args.loadBalancer, signal),
  ]);
  const all = [...tools, ...faults, ...(machine?.faults ?? [])];
  if (all.length > 0) {
    const count = all.length === 1 ? "1 fault" : `${all.length} faults`;
    throw new pulumi.RunError(
      `Nothing was touched, because of ${count}:\n${all.map((fault) => `  ${fault}`).join("\n")}`,
    );
  }
  return { ...cluster, edits: machine?.edits };
}

interface Inspection {
  readonly cluster: Cluster;
  readonly faults: readonly string[];
}

const NO_CLUSTER: Cluster = { id: "", nodes: [], routed: [] };

/** A kubeconfig that leads nowhere leaves nothing else to look at. */
function onlyFault(error: unknown): Inspection {
  if (error instanceof Fault) return { cluster: NO_CLUSTER, faults: [error.message] };
  throw error;
}

async function inspect(args: ClusterArgs, signal: AbortSignal): Promise<Inspection> {
  const { kubeconfig, context } = args;
  let api: KubernetesApi | undefined;
  try {
    api = await KubernetesApi.connect({ kubeconfig, context }, { signal, answerMs: ANSWER_MS });
    // The first request shows whether there is a server at all.
    const version = await unlessForbidden(api.get<{ gitVersion?: string }>("/version"));
    return await askAll(api, args, version?.gitVersion ?? "");
  } catch (error) {
    throw await adviceOn(error, args, api, signal);
  } finally {
    await api?.close();
  }
}

async function askAll(api: KubernetesApi, args: ClusterArgs, kubernetes: string): Promise<Inspection> {
  const { manage } = args.istio;
  const scope = { ...args, manage, versions: args.versions.map(({ name }) => name) };
  const ask = <T>(answer: Promise<T>) => unlessForbidden(answer);
  const [system, routed, namespace, nodes, ...faults] = await Promise.all([
    ask(api.metadata("/api/v1/namespaces/kube-system")),
    ask(readRoutedSubsets(api, args.namespace)),
    ask(namespaceFaults(api, args.namespace)),
    args.wantNodes ? ask(readNodes(api)) : { usable: [], faults: [] },
    ask(permissionFaults(api, scope)),
    ask(istioFaults(api, scope)),
    ask(objectFaults(api, scope)),
    ask(labelFaults(api, args)),
  ]);
  return {
    cluster: {
      id: system?.metadata.uid ?? "",
      nodes: nodes?.usable ?? [],
      routed: routed ?? [],
    },
    faults: [
      ...versionFaults(kubernetes, args.istio.version, api.where),
      ...(namespace ?? []),
      ...(nodes?.faults ?? []),
      ...faults.flatMap((some) => some ?? []),
    ],
  };
}

/** What is forbidden stands in the list of permissions, which names them all at once. */
async function unlessForbidden<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return undefined;
    throw error;
  }
}

function versionFaults(kubernetes: string, istio: string, where: string): string[] {
  const oldest = oldestKubernetes(istio);
  const minor = Number(/^v?1\.(\d+)/.exec(kubernetes)?.[1] ?? Number.NaN);
  if (oldest === undefined || !(minor < oldest)) return [];
  return [
    `istio.version is ${istio}, and Istio ${minorOf(istio)} supports Kubernetes 1.${oldest} and later; ${where} is ${kubernetes}: upgrade the cluster, or set istio.version to one of https://istio.io/latest/docs/releases/supported-releases/ that supports it`,
  ];
}

async function namespaceFaults(api: KubernetesApi, namespace: string): Promise<string[]> {
  if (await api.metadata(`/api/v1/namespaces/${namespace}`)) return [];
  return [
    `namespace is ${namespace}, and ${api.where} has no such namespace; create it (kubectl create namespace ${namespace}), or set namespace to one that exists`,
  ];
}

async function readNodes(api: KubernetesApi): Promise<{ usable: Cluster["nodes"]; faults: string[] }> {
  const { items = [] } = (await api.get<{ items?: Node[] }>("/api/v1/nodes")) ?? {};
  const usable = usableNodes(items);
  const faults = [
    `nodes is empty, and none of the ${items.length} nodes of ${api.where} is ready, schedulable and has an InternalIP: give nodes as a list of name and address`,
  ];
  return { usable, faults: usable.length > 0 ? [] : faults };
}

interface Node extends KubernetesObject {
  readonly spec?: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly effect: string }[];
  };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  };
}

/** Ready, not cordoned, not a tainted control plane, with an address: the nodes that a gateway's NodePort is asked on. */
function usableNodes(nodes: readonly Node[]): Cluster["nodes"] {
  return nodes
    .filter(({ status }) =>
      status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
    )
    .filter(
      ({ spec }) =>
        !spec?.unschedulable && !spec?.taints?.some(({ effect }) => effect !== "PreferNoSchedule"),
    )
    .map(({ metadata, status }) => ({
      name: metadata.name,
      address: status?.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "",
    }))
    .filter(({ address }) => address !== "")
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
