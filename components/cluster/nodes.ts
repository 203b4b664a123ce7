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

/**
 * Usable are nodes that are ready, schedulable, without a taint that keeps pods away, and that have an
 * address.
 */
export function sortNodes(nodes: readonly KubernetesNode[]): SortedNodes {
  const usable: Node[] = [];
  const rejected = new Map<string, string>();
  for (const node of [...nodes].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const { name } = node.metadata;
    const address = addressOf(node);
    const reason = whyNot(node) ?? (address ? undefined : withoutAddress(node));
    if (reason) rejected.set(name, reason);
    else if (address) usable.push({ name, address });
  }
  return { usable, rejected };
}

/** Address to the names of its nodes, where these are several. */
export function sharedAddresses(nodes: readonly Node[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const { name, address } of nodes) names.set(address, [...(names.get(address) ?? []), name]);
  return new Map([...names].filter(([, sharing]) => sharing.length > 1));
}

function whyNot({ spec, status }: KubernetesNode): string | undefined {
  const ready = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  if (!ready) return "is not ready";
  if (spec?.unschedulable) return "is cordoned";
  const taint = spec?.taints?.find(({ effect }) => effect !== "PreferNoSchedule");
  return taint && `has the taint ${taint.key}:${taint.effect}`;
}

/**
 * The first InternalIP, which is of the cluster's first address family; else the first ExternalIP. A Hostname
 * is not taken: the load balancer may not resolve it, and HAProxy does not start with a name that it cannot
 * resolve.
 */
function addressOf({ status }: KubernetesNode): string | undefined {
  const addresses = status?.addresses ?? [];
  const ofType = (wanted: string) =>
    addresses.find(({ type, address }) => type === wanted && isIP(address) && !isLocal(address))?.address;
  return ofType("InternalIP") ?? ofType("ExternalIP");
}

function withoutAddress({ status }: KubernetesNode): string {
  const found = (status?.addresses ?? []).map(({ type, address }) => `${type} ${address}`).join(" and ");
  return found ? `has no address but ${found}` : "has no address";
}

/** Loopback and link-local addresses lead nowhere from another machine. */
const isLocal = (address: string) => /^(127\.|169\.254\.|::1$|fe[89ab][0-9a-f]:)/i.test(address);
