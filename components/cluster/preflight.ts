/** Which cluster it is, and which of its nodes the load balancer can send requests to. */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import type { CheckContext, Findings, Permission, Preflight } from "../../preflight/capability.ts";
import { type KubernetesNode, type NodeAddress, sharedAddresses, sortNodes } from "./nodes.ts";

/** What the checks of the cluster need of the configuration. */
export interface Needs {
  /** Nodes by hand; the cluster's are taken where there are none. */
  readonly nodes: readonly unknown[];
}

export interface ClusterFacts {
  /** UID of namespace kube-system: the cluster's identity, whatever its kubeconfig calls it. */
  readonly id: string;
  /** Usable nodes by name; none where the nodes are given by hand. */
  readonly nodes: readonly NodeAddress[];
}

export const clusterPreflight = {
  permissions,
  checks: [readIdentity, readNodes],
} satisfies Preflight<Needs>;

function permissions({ nodes }: Needs): Permission[] {
  const system = "kube-system";
  return [
    { verbs: ["get"], group: "", resource: "namespaces", namespace: system, name: system },
    ...(nodes.length === 0 ? [{ verbs: ["list"], group: "", resource: "nodes", namespace: "" }] : []),
  ];
}

async function readIdentity({ api }: CheckContext<Needs>): Promise<Findings<Pick<ClusterFacts, "id">>> {
  const system = await api.metadata("/api/v1/namespaces/kube-system");
  return { faults: [], facts: { id: system?.metadata.uid ?? "" } };
}

async function readNodes({
  api,
  config,
}: CheckContext<Needs>): Promise<Findings<Pick<ClusterFacts, "nodes">>> {
  if (config.nodes.length > 0) return { faults: [], facts: { nodes: [] } };
  const { items } = await api.list<KubernetesNode>("/api/v1/nodes");
  const { usable, rejected } = sortNodes(items);
  const messages = usable.length === 0 ? [noneUsable(api, rejected)] : shared(api, usable);
  return { faults: messages.map((message) => ({ key: "nodes", message })), facts: { nodes: usable } };
}

const BY_HAND = "give nodes as a list of name and address";

function noneUsable({ where }: KubernetesApi, rejected: ReadonlyMap<string, string>): string {
  const reasons = [...rejected].map(([name, reason]) => `${name} ${reason}`).join(", ");
  return `nodes is empty, and none of the ${rejected.size} nodes of ${where} is ready, schedulable and has an address${reasons && ` (${reasons})`}: ${BY_HAND}`;
}

/** Every Vagrant machine has 10.0.2.15 on its first interface, for example. */
function shared({ where }: KubernetesApi, usable: readonly NodeAddress[]): string[] {
  return [...sharedAddresses(usable)].map(
    ([address, names]) =>
      `nodes is empty, and nodes ${names.join(", ")} of ${where} all have the address ${address}, so that the load balancer would reach one of them at most: ${BY_HAND} that the load balancer reaches, or start each kubelet with --node-ip`,
  );
}
