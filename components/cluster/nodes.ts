/** Which nodes of a cluster can take requests on a NodePort, and at which address. */
import { isIP } from "node:net";
import type { KubernetesObject } from "../../clients/kubernetes.ts";
import type { Node } from "../../haproxy/model.ts";

/** As the API server has it. */
export interface KubernetesNode extends KubernetesObject {
  readonly spec?: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key?: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  };
}

export interface SortedNodes {
  /** By name. */
  readonly usable: readonly Node[];
  /** Name to why it is not usable. */
  readonly rejected: ReadonlyMap<string, string>;
}

export type Family = "IPv4" | "IPv6";

/** Kubeadm gives it to control planes, and clouds to virtual nodes, which have no NodePorts. */
const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";

/**
 * Usable are nodes that are ready, schedulable, without a taint that keeps pods away, and that have an
 * address. Nodes with the label to leave them out are used only where there are no others: a cluster of one
 * control plane has none.
 * @param families those on which the gateway's NodePorts answer, the preferred one first. @default any
 */
export function sortNodes(nodes: readonly KubernetesNode[], families: readonly Family[] = []): SortedNodes {
  const usable: Node[] = [];
  const excluded: Node[] = [];
  const rejected = new Map<string, string>();
  for (const node of [...nodes].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const { name, labels = {} } = node.metadata;
    const address = addressOf(node, families);
    const reason = whyNot(node) ?? (address ? undefined : withoutAddress(node, families));
    if (reason) rejected.set(name, reason);
    else if (address) (EXCLUDED in labels ? excluded : usable).push({ name, address });
  }
  if (usable.length === 0) return { usable: excluded, rejected };
  for (const { name } of excluded) rejected.set(name, `has the label ${EXCLUDED}`);
  return { usable, rejected };
}

/** Address to the names of its nodes, where these are several. */
export function sharedAddresses(nodes: readonly Node[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const { name, address } of nodes) names.set(address, [...(names.get(address) ?? []), name]);
  return new Map([...names].filter(([, sharing]) => sharing.length > 1));
}

function whyNot({ metadata, spec, status }: KubernetesNode): string | undefined {
  if (metadata.deletionTimestamp !== undefined) return "is being deleted";
  const ready = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  if (!ready) return "is not ready";
  if (spec?.unschedulable) return "is cordoned";
  const taint = spec?.taints?.find(({ effect }) => effect !== "PreferNoSchedule");
  return taint && `has the taint ${taint.key}:${taint.effect}`;
}

/**
 * The first InternalIP of the first of the families that has one; else the same of the ExternalIPs. A
 * Hostname is not taken: the load balancer may not resolve it, and HAProxy does not start with a name that it
 * cannot resolve.
 */
function addressOf({ status }: KubernetesNode, families: readonly Family[]): string | undefined {
  const addresses = (status?.addresses ?? []).filter(({ address }) => isIP(address) && !isLocal(address));
  for (const wanted of ["InternalIP", "ExternalIP"]) {
    const ofType = addresses.filter(({ type }) => type === wanted).map(({ address }) => address);
    const found = families.flatMap((family) => ofType.find((address) => familyOf(address) === family) ?? []);
    const [address] = families.length > 0 ? found : ofType;
    if (address) return address;
  }
  return undefined;
}

/** Undefined for what is no address. */
export function familyOf(address: string): Family | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : version === 6 ? "IPv6" : "IPv4";
}

function withoutAddress({ status }: KubernetesNode, families: readonly Family[]): string {
  const found = (status?.addresses ?? []).map(({ type, address }) => `${type} ${address}`).join(" and ");
  const wanted = families.length === 1 ? `no ${families[0]} address` : "no address";
  return found ? `has ${wanted} but ${found}` : `has ${wanted}`;
}

/** Loopback and link-local addresses lead nowhere from another machine. */
const isLocal = (address: string) => /^(127\.|169\.254\.|::1$|fe[89ab][0-9a-f]:)/i.test(address);
