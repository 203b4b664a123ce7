import { setTimeout } from "node:timers/promises";
import * as k8s from "@kubernetes/client-node";
import * as pulumi from "@pulumi/pulumi";

/** What the program must know of a cluster before it declares anything. */
export interface Cluster {
  /** UID of namespace kube-system: the cluster's identity, whatever its kubeconfig is called. */
  readonly id: string;
  /** Ready, schedulable nodes with their InternalIP, by name. */
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
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
}

/**
 * Asks the cluster who it is.
 * @throws pulumi.RunError, within 10 s, that names kubeconfig, context and server.
 */
export async function readCluster(args: ClusterArgs): Promise<Cluster> {
  const config = loadKubeconfig(args);
  const where = whereabouts(config, args);
  const api = config.makeApiClient(k8s.CoreV1Api);
  const ask = <T>(what: string, answer: Promise<T>) =>
    within(10_000, answer).catch((error) => reject(what, where, error));
  const [system, , nodes] = await Promise.all([
    ask("get namespace kube-system", api.readNamespace({ name: "kube-system" })),
    ask(`get namespace ${args.namespace}`, api.readNamespace({ name: args.namespace })),
    args.wantNodes ? ask("list nodes", api.listNode()) : undefined,
  ]);
  return { id: system.metadata?.uid ?? "", nodes: nodes ? usableNodes(nodes.items, where) : [] };
}

function loadKubeconfig({ kubeconfig, context }: ClusterArgs): k8s.KubeConfig {
  const config = new k8s.KubeConfig();
  const file = kubeconfig || process.env.KUBECONFIG || "~/.kube/config";
  try {
    if (kubeconfig) config.loadFromFile(kubeconfig);
    else config.loadFromDefault();
  } catch (error) {
    throw new pulumi.RunError(
      `kubeconfig ${file} cannot be read: ${reason(error)}; set kubeconfig to the path of one`,
    );
  }
  if (config.getCurrentCluster()?.server === NOWHERE) {
    throw new pulumi.RunError(
      "there is no kubeconfig: neither KUBECONFIG nor ~/.kube/config; set kubeconfig to the path of one",
    );
  }
  if (context) config.setCurrentContext(context);
  if (!config.getCurrentCluster()) {
    const known = config.contexts.map(({ name }) => name).join(", ") || "none";
    const asked = config.getCurrentContext() || "(no current context)";
    throw new pulumi.RunError(
      `kubeconfig ${file} has no usable context ${asked}; it has: ${known}; set context to one of them`,
    );
  }
  return config;
}

/** What the client library makes up when it finds no kubeconfig. */
const NOWHERE = "http://localhost:8080";

function whereabouts(config: k8s.KubeConfig, { kubeconfig }: ClusterArgs): string {
  const file = kubeconfig || process.env.KUBECONFIG || "~/.kube/config";
  return `cluster ${config.getCurrentCluster()?.server} (kubeconfig ${file}, context ${config.getCurrentContext()})`;
}

/** Ready, not cordoned, not a tainted control plane, with an address: the nodes that a gateway's NodePort is asked on. */
export function usableNodes(nodes: readonly k8s.V1Node[], where: string): Cluster["nodes"] {
  const usable = nodes
    .filter((node) =>
      node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
    )
    .filter(
      (node) =>
        !node.spec?.unschedulable && !node.spec?.taints?.some(({ effect }) => effect !== "PreferNoSchedule"),
    )
    .map((node) => ({
      name: node.metadata?.name ?? "",
      address: node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "",
    }))
    .filter(({ address }) => address !== "")
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (usable.length > 0) return usable;
  throw new pulumi.RunError(
    `nodes is empty, and none of the ${nodes.length} nodes of ${where} is ready, schedulable and has an InternalIP: give nodes as a list of name and address`,
  );
}

/** Rejects when the answer takes longer; the timer keeps no process alive. */
function within<T>(milliseconds: number, answer: Promise<T>): Promise<T> {
  const late = setTimeout(milliseconds, undefined, { ref: false }).then(() => {
    throw new Error(`no answer within ${milliseconds / 1000} s`);
  });
  return Promise.race([answer, late]);
}

function reject(what: string, where: string, error: unknown): never {
  const code = (error as { code?: unknown }).code;
  if (code === 404)
    throw new pulumi.RunError(
      `${what}: ${where} has no such namespace; create it, or set namespace to one that exists`,
    );
  if (code === 401)
    throw new pulumi.RunError(
      `${what}: ${where} does not know this user; its certificate or token may have expired`,
    );
  if (code === 403) throw new pulumi.RunError(`${what}: ${where} does not allow this user to ${what}`);
  throw new pulumi.RunError(`${what}: ${where} does not answer: ${reason(error)}`);
}

/** The innermost reason: clients of HTTP wrap "connection refused" in "fetch failed". */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error.cause ? reason(error.cause) : error.message.split("\n")[0] || error.name;
}
