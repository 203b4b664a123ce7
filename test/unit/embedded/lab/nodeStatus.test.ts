/** Tests of embedded/lab/nodeStatus.ts. */
import { expect, it } from "vitest";
import type { KubernetesNode } from "../../../../components/cluster/nodes.ts";
import { nodeProblems } from "../../../../embedded/lab/nodeStatus.ts";

const node = (name: string, status = "True", unschedulable = false): KubernetesNode => ({
  metadata: { name },
  spec: { unschedulable },
  status: {
    conditions: [{ type: "Ready", status, message: "kubelet stopped" }],
    addresses: [{ type: "InternalIP", address: "10.0.0.2" }],
  },
});

it("a node that is not Ready is named with its reason", () => {
  expect(nodeProblems([node("a"), node("b", "False")], undefined)).toEqual([
    "node b is not Ready: kubelet stopped",
  ]);
});

it("nodes that came or went since the last update are named, with the command that takes them", () => {
  expect(nodeProblems([node("a"), node("b"), node("c", "True", true)], ["a", "c", "d"])).toEqual([
    "node b is not behind the load balancer yet: ./lab up",
    "node c is behind the load balancer, and takes no pods any more: ./lab up",
    "node d is behind the load balancer, and takes no pods any more: ./lab up",
  ]);
  expect(nodeProblems([node("a")], ["a"])).toEqual([]);
});
