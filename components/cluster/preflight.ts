/** Which cluster it is, and which of its nodes the load balancer can send requests to. */
import { withAbsolutePaths } from "../../clients/kubectlConfig.ts";
import { type KubernetesApi, type KubernetesObject, unlessForbidden } from "../../clients/kubernetes.ts";
import type { Node } from "../../haproxy/model.ts";
import type { GatewayRef } from "../../mesh/model.ts";
import type { CheckContext, Findings, Permission, Preflight } from "../../preflight/capability.ts";
import { type Family, familyOf, type KubernetesNode, sharedAddresses, sortNodes } from "./nodes.ts";
import { type ClusterIdentity, previousCluster } from "./previous.ts";

/** What the checks of the cluster need of the configuration. */
export interface Needs {
  /** Path of the kubeconfig; empty: as kubectl finds it. */
  readonly kubeconfig: string;
  /** Context in it; empty: the current one. */
  readonly context: string;
  /** Nodes by hand; the cluster's are taken where there are none. */
  readonly nodes: readonly unknown[];
  readonly istio: { readonly gateway: GatewayRef };
  readonly loadBalancer: { readonly host: string };
}

export interface ClusterFacts {
  /** UID of namespace kube-system: the cluster's identity, whatever its kubeconfig calls it. */
  readonly id: string;
  /** The same, and how it was reached: an output of the stack. */
  readonly identity: ClusterIdentity;
  /**
   * What Pulumi's provider gets: the path of the kubeconfig, or its content where it names files by relative
   * paths. The provider resolves these from its working directory, and kubectl from the kubeconfig's.
   */
  readonly kubeconfig: string;
  /** Usable nodes by name; none where the nodes are given by hand. */
  readonly nodes: readonly Node[];
}

export const clusterPreflight = {
  permissions,
  checks: [checkIdentity, readKubeconfig, readNodes],
} satisfies Preflight<Needs>;

function permissions({ nodes }: Pick<Needs, "nodes">): Permission[] {
  const system = "kube-system";
  return [
    { verbs: ["get"], group: "", resource: "namespaces", namespace: system, name: system },
    ...(nodes.length === 0 ? [{ verbs: ["list"], group: "", resource: "nodes", namespace: "" }] : []),
  ];
}

/**
 * The state's resources are of one cluster. In another one the update would take them for deleted, and would
 * delete by name what is not its own.
 */
async function checkIdentity({
  api,
  owner,
}: CheckContext<Needs>): Promise<Findings<Pick<ClusterFacts, "id" | "identity">>> {
  const [system, previous] = await Promise.all([
    api.metadata("/api/v1/namespaces/kube-system"),
    previousCluster(owner),
  ]);
  const id = system?.metadata.uid ?? "";
  const { server, context } = api.target;
  const other = previous !== undefined && id !== "" && previous.id !== id;
  return {
    faults: other ? [{ key: "context", message: anotherCluster(api, id, previous) }] : [],
    facts: { id, identity: { id, server, context } },
  };
}

function anotherCluster({ where }: KubernetesApi, id: string, previous: ClusterIdentity): string {
  const then = `cluster ${previous.server} (context ${previous.context})`;
  return (
    `${where} is another cluster than the one of this stack: namespace kube-system has the UID ${id} ` +
    `here, and the last update was on ${then} with the UID ${previous.id}; set kubeconfig and context ` +
    "back to that cluster; to move the stack, run pulumi destroy there first; if that cluster is gone " +
    "for good, forget its resources (pulumi state delete --all --yes) and run pulumi up"
  );
}

async function readKubeconfig({
  api,
  config,
  signal,
}: CheckContext<Needs>): Promise<Findings<Pick<ClusterFacts, "kubeconfig">>> {
  const { kubeconfig, context } = config;
  // Where none is given, the provider reads KUBECONFIG as kubectl does.
  const isForeign = kubeconfig !== "" && api.target.hasRelativePaths;
  const content = isForeign ? await withAbsolutePaths({ kubeconfig, context }, signal) : kubeconfig;
  return { faults: [], facts: { kubeconfig: content } };
}

async function readNodes({
  api,
  config,
}: CheckContext<Needs>): Promise<Findings<Pick<ClusterFacts, "nodes">>> {
  if (config.nodes.length > 0) return { faults: [], facts: { nodes: [] } };
  const [{ items }, families] = await Promise.all([
    api.list<KubernetesNode>("/api/v1/nodes"),
    familiesOf(api, config),
  ]);
  const { usable, rejected } = sortNodes(items, families);
  const messages = usable.length === 0 ? [noneUsable(api, rejected)] : shared(api, usable);
  return { faults: messages.map((message) => ({ key: "nodes", message })), facts: { nodes: usable } };
}

/**
 * Those of the gateway's Service; before it is there, that of the cluster's own Service, which a new Service
 * gets too. A NodePort answers on addresses of these alone. The load balancer's own family is preferred.
 */
async function familiesOf(
  api: KubernetesApi,
  { istio: { gateway }, loadBalancer }: Pick<Needs, "istio" | "loadBalancer">,
): Promise<readonly Family[]> {
  const get = (namespace: string, name: string) =>
    unlessForbidden(api.get<Service>(`/api/v1/namespaces/${namespace}/services/${name}`));
  const [door, own] = await Promise.all([
    get(gateway.namespace, gateway.service),
    get("default", "kubernetes"),
  ]);
  const families = door?.spec?.ipFamilies ?? own?.spec?.ipFamilies?.slice(0, 1) ?? [];
  const preferred = familyOf(loadBalancer.host);
  return [...families].sort((a, b) => Number(b === preferred) - Number(a === preferred));
}

interface Service extends KubernetesObject {
  readonly spec?: { readonly ipFamilies?: readonly Family[] };
}

const BY_HAND = "give nodes as a list of name and address";

function noneUsable({ where }: KubernetesApi, rejected: ReadonlyMap<string, string>): string {
  const reasons = [...rejected].map(([name, reason]) => `${name} ${reason}`).join(", ");
  return (
    `nodes is empty, and no node of ${where} is ready, schedulable and has an ` +
    `address${reasons && ` (${reasons})`}: ${BY_HAND}`
  );
}

/** Every Vagrant machine has 10.0.2.15 on its first interface, for example. */
function shared({ where }: KubernetesApi, usable: readonly Node[]): string[] {
  return [...sharedAddresses(usable)].map(
    ([address, names]) =>
      `nodes is empty, and nodes ${names.join(", ")} of ${where} all have the address ${address}, so ` +
      `that the load balancer would reach one of them at most: ${BY_HAND} that the load balancer ` +
      "reaches, or start each kubelet with --node-ip",
  );
}
