/** The nodes of a lab's cluster: which are not ready, and which the load balancer does not know of. */

/** As the API server has it. */
export interface Node {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status: {
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly message: string;
    }[];
  };
}

/** @param balanced names of the nodes behind the load balancer; undefined where they are chosen by hand */
export function nodeProblems(nodes: readonly Node[], balanced: readonly string[] | undefined): string[] {
  const ready = ({ status }: Node) => status.conditions.find(({ type }) => type === "Ready");
  const isReady = (node: Node) => ready(node)?.status === "True";
  const notReady = nodes
    .filter((node) => !isReady(node))
    .map((node) => `node ${node.metadata.name} is not Ready: ${ready(node)?.message ?? "no report"}`);
  if (!balanced) return notReady;
  const usable = nodes
    .filter((node) => isReady(node) && !node.spec?.unschedulable)
    .map(({ metadata }) => metadata.name);
  const named = (names: readonly string[]) => names.map((name) => `node ${name}`);
  return [
    ...notReady,
    ...named(usable.filter((name) => !balanced.includes(name))).map(
      (node) => `${node} is not behind the load balancer yet: ./lab up`,
    ),
    ...named(balanced.filter((name) => !usable.includes(name))).map(
      (node) => `${node} is behind the load balancer, and takes no pods any more: ./lab up`,
    ),
  ];
}
