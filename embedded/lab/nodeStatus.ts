/** Finds the nodes that are not ready, and those that the load balancer lacks or should no longer have. */
import { type KubernetesNode, sortNodes } from "../../components/cluster/nodes.ts";

/** @param balanced names of the nodes behind the load balancer; undefined where the user chose them */
export function nodeProblems(
  nodes: readonly KubernetesNode[],
  balanced: readonly string[] | undefined,
): string[] {
  const notReady = nodes.flatMap(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return ready?.status === "True"
      ? []
      : [`node ${metadata.name} is not Ready: ${ready?.message ?? "no report"}`];
  });
  if (!balanced) return notReady;
  const usable = sortNodes(nodes).usable.map(({ name }) => name);
  return [
    ...notReady,
    ...usable
      .filter((name) => !balanced.includes(name))
      .map((name) => `node ${name} is not behind the load balancer yet: ./lab up`),
    ...balanced
      .filter((name) => !usable.includes(name))
      .map((name) => `node ${name} is behind the load balancer, and takes no pods any more: ./lab up`),
  ];
}
