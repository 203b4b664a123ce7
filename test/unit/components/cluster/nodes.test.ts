/** Tests of components/cluster/nodes.ts. */
import { describe, expect, it } from "vitest";
import { type KubernetesNode, sharedAddresses, sortNodes } from "../../../../components/cluster/nodes.ts";

const READY = [{ type: "Ready", status: "True" }];

function node(
  name: string,
  addresses: Record<string, string> | readonly { type: string; address: string }[] = {
    InternalIP: "10.0.0.1",
  },
  change: {
    metadata?: Omit<KubernetesNode["metadata"], "name">;
    spec?: KubernetesNode["spec"];
    conditions?: { type: string; status: string }[];
  } = {},
): KubernetesNode {
  const list = Array.isArray(addresses)
    ? addresses
    : Object.entries(addresses as Record<string, string>).map(([type, address]) => ({ type, address }));
  return {
    metadata: { name, ...change.metadata },
    spec: change.spec ?? {},
    status: { conditions: change.conditions ?? READY, addresses: list },
  };
}

describe("usable nodes", () => {
  it("are sorted by name; the order of the API does not matter", () => {
    const { usable } = sortNodes([node("b"), node("a")]);
    expect(usable.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it.each<[string, KubernetesNode, string | undefined]>([
    ["InternalIP first", node("n", { ExternalIP: "198.51.100.7", InternalIP: "10.0.0.7" }), "10.0.0.7"],
    [
      "ExternalIP where there is no other",
      node("n", { Hostname: "n", ExternalIP: "198.51.100.7" }),
      "198.51.100.7",
    ],
    ["IPv6", node("n", { InternalIP: "fd00::7" }), "fd00::7"],
    [
      "dual stack: the first, which is of the cluster's first family",
      node("n", [
        { type: "InternalIP", address: "fd00::7" },
        { type: "InternalIP", address: "10.0.0.7" },
      ]),
      "fd00::7",
    ],
    ["no loopback", node("n", { InternalIP: "127.0.0.1", ExternalIP: "198.51.100.7" }), "198.51.100.7"],
    [
      "a soft taint",
      node("n", undefined, { spec: { taints: [{ key: "x", effect: "PreferNoSchedule" }] } }),
      "10.0.0.1",
    ],
  ])("address: %s", (_, one, address) => {
    expect(sortNodes([one]).usable).toEqual([{ name: "n", address }]);
  });

  it.each<[string, KubernetesNode]>([
    ["is not ready", node("n", undefined, { conditions: [{ type: "Ready", status: "Unknown" }] })],
    ["is being deleted", node("n", undefined, { metadata: { deletionTimestamp: "2026-11-23T16:00:00Z" } })],
    [
      "has the taint ToBeDeletedByClusterAutoscaler:NoSchedule",
      node("n", undefined, {
        spec: { taints: [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }] },
      }),
    ],
    ["is cordoned", node("n", undefined, { spec: { unschedulable: true } })],
    [
      "has the taint node-role.kubernetes.io/control-plane:NoSchedule",
      node("n", undefined, {
        spec: { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] },
      }),
    ],
    ["has no address but Hostname n", node("n", { Hostname: "n" })],
    ["has no address but InternalIP fe80::1", node("n", { InternalIP: "fe80::1" })],
    ["has no address", node("n", {})],
  ])("rejected: %s", (reason, one) => {
    const { usable, rejected } = sortNodes([one]);
    expect(usable).toEqual([]);
    expect(rejected).toEqual(new Map([["n", reason]]));
  });
});

describe("nodes with the label that keeps them from load balancers", () => {
  const label = "node.kubernetes.io/exclude-from-external-load-balancers";
  const labelled = (name: string) => node(name, undefined, { metadata: { labels: { [label]: "" } } });

  it("are left out beside others", () => {
    const { usable, rejected } = sortNodes([labelled("control"), node("worker")]);
    expect(usable.map(({ name }) => name)).toEqual(["worker"]);
    expect(rejected).toEqual(new Map([["control", `has the label ${label}`]]));
  });

  it("are taken where there are no others, as in a cluster of one control plane", () => {
    const { usable } = sortNodes([
      labelled("control"),
      node("worker", undefined, { spec: { unschedulable: true } }),
    ]);
    expect(usable.map(({ name }) => name)).toEqual(["control"]);
  });
});

it("one address of several nodes is found", () => {
  const nodes = [
    { name: "a", address: "10.0.2.15" },
    { name: "b", address: "10.0.2.15" },
    { name: "c", address: "10.0.2.16" },
  ];
  expect(sharedAddresses(nodes)).toEqual(new Map([["10.0.2.15", ["a", "b"]]]));
});
