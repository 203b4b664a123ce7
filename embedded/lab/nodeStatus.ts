/** The nodes of a lab's cluster: which are not ready, and which the load balancer lacks or has too many. */
import { type KubernetesNode, sortNodes } from "../../components/cluster/nodes.ts";

/** @param balanced names of the nodes behind the load balancer; undefined where they are chosen by hand */
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
