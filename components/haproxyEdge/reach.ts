/** Whether the load balancer reaches the nodes: it tries each of them itself. */
import { readFileSync } from "node:fs";
import { quote } from "../../clients/shell.ts";
import type { Node } from "../../haproxy/model.ts";
import type { Findings, LastContext } from "../../preflight/capability.ts";
import type { ClusterFacts } from "../cluster/preflight.ts";
import type { IstioFacts } from "../istio/preflight.ts";
import type { LoadBalancer } from "./config.ts";
import { nameOf, type Runner } from "./machine.ts";
import type { HaproxyEdgeFacts } from "./preflight.ts";

/** What the check needs of the configuration. */
export interface ReachNeeds {
  /** Nodes by hand; the cluster's are tried where there are none. */
  readonly nodes: readonly Node[];
  readonly loadBalancer: LoadBalancer;
}

const SCRIPT = readFileSync(new URL("reach.sh", import.meta.url), "utf8");
/** A node answers on the kubelet's port even where nothing listens there: it refuses. */
const KUBELET = 10250;

/** What the load balancer got from a node, in the words of reach.sh. */
export interface Reached {
  readonly kubelet: string;
  /** Undefined: there is no NodePort yet. */
  readonly nodePort?: string | undefined;
}

/**
 * A node that does not answer is a warning, because HAProxy leaves it out; where none does on any port, that
 * is a fault. Before the first update there is no NodePort, and a firewall may pass NodePorts alone: then
 * silence proves nothing.
 */
export async function checkReach({ config, facts, signal }: LastContext<ReachNeeds>): Promise<Findings> {
  type Facts = Partial<ClusterFacts & IstioFacts & HaproxyEdgeFacts>;
  const { nodes: found = [], gatewayPort, session } = facts as Facts;
  const nodes = config.nodes.length > 0 ? config.nodes : found;
  const results = session && (await tryNodes(session.run, nodes, gatewayPort, signal));
  return results ? findingsOf(config.loadBalancer, nodes, results, gatewayPort) : { faults: [] };
}

/**
 * In the order of the nodes; undefined where the load balancer cannot try: the check is a help, not a need.
 */
async function tryNodes(
  run: Runner,
  nodes: readonly Node[],
  nodePort: number | undefined,
  signal: AbortSignal,
): Promise<readonly Reached[] | undefined> {
  const ports = nodePort === undefined ? [KUBELET] : [KUBELET, nodePort];
  const words = nodes.flatMap(({ address }, index) =>
    ports.flatMap((port) => [`${index}:${port}`, address, String(port)]),
  );
  const input = `set -- ${words.map(quote).join(" ")}\n${SCRIPT}`;
  try {
    const { stdout } = await run("exec sh -s", { input, signal });
    const results = new Map(
      stdout.split("\n").map((line) => [line.split(" ")[0], line.slice(line.indexOf(" ") + 1)]),
    );
    const complete = nodes.every((_, index) => ports.every((port) => results.has(`${index}:${port}`)));
    const resultOf = (index: number, port: number) => results.get(`${index}:${port}`) ?? "";
    return complete
      ? nodes.map((_, index) => ({
          kubelet: resultOf(index, KUBELET),
          nodePort: nodePort === undefined ? undefined : resultOf(index, nodePort),
        }))
      : undefined;
  } catch {
    return undefined;
  }
}

const answers = (result: string | undefined) => result === "open" || result === "refused";

/** @param results in the order of the nodes */
export function findingsOf(
  machine: Pick<LoadBalancer, "local" | "user" | "host" | "port">,
  nodes: readonly Node[],
  results: readonly Reached[],
  nodePort: number | undefined,
): Findings {
  const reached = results.map(({ kubelet, nodePort }) => answers(kubelet) || answers(nodePort));
  const proven = results.every(({ kubelet, nodePort }) => nodePort !== undefined || kubelet !== "silent");
  const unusable = nodes.flatMap(({ name, address }, index) => {
    const { kubelet, nodePort } = results[index] as Reached;
    const good = nodePort === undefined ? reached[index] : nodePort === "open";
    return good ? [] : [`${name} (${address}): ${inWords(nodePort ?? kubelet)}`];
  });
  if (unusable.length === 0) return { faults: [] };
  const where = nameOf(machine);
  const on = nodePort === undefined ? `port ${KUBELET}` : `NodePort ${nodePort}`;
  const list = unusable.join(", ");
  if (proven && !reached.includes(true)) {
    const message = `${where} reaches none of the nodes (${list}): ${WAY_OUT}`;
    return { faults: [{ key: "nodes", message }] };
  }
  if (results.every(({ nodePort }) => nodePort === "refused")) {
    const warning = [
      `${where}: every node refuses connections on ${on}: either no pod of the gateway is ready`,
      `(kubectl get pods --all-namespaces), or these are not the addresses of the cluster's nodes: ${list}`,
    ].join(" ");
    return { faults: [], warnings: [warning] };
  }
  const warning = [
    `${where} does not reach, on ${on}, ${list};`,
    `HAProxy leaves a node out while it does not answer: ${WAY_OUT}`,
  ].join(" ");
  return { faults: [], warnings: [warning] };
}

const WAY_OUT =
  "let its requests pass a firewall to the nodes' NodePorts (30000 to 32767), " +
  "or give nodes as a list of name and address that it reaches";

function inWords(result: string): string {
  if (result === "silent") return "no answer within 3 s";
  if (result === "refused") return "connection refused";
  return result === "unknown" ? "the name has no address there" : result;
}
