/** Tests of components/cluster/preflight.ts. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { clusterPreflight } from "../../../../components/cluster/preflight.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { runChecks } from "../../../support/preflight.ts";

const state = vi.hoisted(() => ({ cluster: undefined as object | undefined }));
vi.mock("../../../../components/cluster/previous.ts", () => ({ previousCluster: async () => state.cluster }));
beforeEach(() => {
  state.cluster = undefined;
});

const node = (name: string, address: string) => ({
  metadata: { name },
  status: {
    conditions: [{ type: "Ready", status: "True" }],
    addresses: [{ type: "InternalIP", address }],
  },
});

const check = async (paths: Paths, nodes: readonly unknown[] = [], host = "lb.example.org") => {
  const { api, requests } = await apiOf(paths);
  const istio = { gateway: ISTIO_GATEWAY };
  const config = { kubeconfig: "/k", context: "", nodes, istio, loadBalancer: { host } };
  return { ...(await runChecks(clusterPreflight, api, config)), requests };
};

it("finds the cluster's identity and its nodes", async () => {
  const { faults, facts } = await check({
    "/api/v1/namespaces/kube-system": { metadata: { name: "kube-system", uid: "0b7c1e2f" } },
    "/api/v1/nodes": { items: [node("node3", "10.0.0.3"), node("node2", "10.0.0.2")] },
  });
  expect(faults).toEqual([]);
  expect(facts).toEqual({
    id: "0b7c1e2f",
    identity: { id: "0b7c1e2f", server: "https://example.test", context: "c" },
    kubeconfig: "/k",
    nodes: [
      { name: "node2", address: "10.0.0.2" },
      { name: "node3", address: "10.0.0.3" },
    ],
  });
});

it("reads no nodes where they are given, and needs no right to", async () => {
  const { facts, requests } = await check({}, [{ name: "a", address: "b" }]);
  expect(facts).toMatchObject({ nodes: [] });
  expect(requests).toEqual(["GET /api/v1/namespaces/kube-system"]);
  const resources = clusterPreflight.permissions({ nodes: [{}] }).map(({ resource }) => resource);
  expect(resources).toEqual(["namespaces"]);
});

it("says why no node is usable", async () => {
  const { faults } = await check({
    "/api/v1/nodes": {
      items: [{ ...node("a", "10.0.0.1"), spec: { unschedulable: true } }, { metadata: { name: "b" } }],
    },
  });
  expect(faults).toEqual([
    expect.stringMatching(
      /^nodes is empty, and no node of cluster \S+ .* has an address \(a is cordoned, b is not ready\): give nodes as a list/,
    ),
  ]);
});

it("refuses nodes that share one address", async () => {
  const items = ["a", "b", "c"].map((name) => node(name, "10.0.2.15"));
  const { faults } = await check({ "/api/v1/nodes": { items } });
  expect(faults).toEqual([
    expect.stringMatching(
      /^nodes is empty, and nodes a, b, c of cluster .* all have the address 10\.0\.2\.15, .*: give nodes as a list of name and address that the load balancer reaches, or start each kubelet with --node-ip$/,
    ),
  ]);
});

describe("of nodes with addresses of both families", () => {
  const both = {
    ...node("a", "fd00::7"),
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      addresses: ["fd00::7", "10.0.0.7"].map((address) => ({ type: "InternalIP", address })),
    },
  };
  const NODES = { "/api/v1/nodes": { items: [both] } };
  const service = (...ipFamilies: string[]) => ({ spec: { ipFamilies } });
  const DOOR = "/api/v1/namespaces/istio-system/services/istio-ingressgateway";
  const OWN = "/api/v1/namespaces/default/services/kubernetes";

  it.each<[string, Paths, string, string]>([
    ["the gateway's Service has", { [DOOR]: service("IPv4"), [OWN]: service("IPv6") }, "fd00::1", "10.0.0.7"],
    ["a new Service will have", { [OWN]: service("IPv4", "IPv6") }, "fd00::1", "10.0.0.7"],
    ["the load balancer has, where both answer", { [DOOR]: service("IPv6", "IPv4") }, "10.0.0.1", "10.0.0.7"],
    [
      "is the Service's first, where the load balancer's is not known",
      { [DOOR]: service("IPv6", "IPv4") },
      "lb.example.org",
      "fd00::7",
    ],
    [
      "is the node's first, where no Service may be read",
      { [DOOR]: 403, [OWN]: 403 },
      "lb.example.org",
      "fd00::7",
    ],
  ])("the one is taken whose family %s", async (_, services, host, address) => {
    const { facts } = await check({ ...NODES, ...services }, [], host);
    expect(facts).toMatchObject({ nodes: [{ name: "a", address }] });
  });

  it("a node without one of that family is left out, with its addresses", async () => {
    const { faults } = await check({
      "/api/v1/nodes": { items: [node("a", "fd00::7")] },
      [DOOR]: service("IPv4"),
    });
    expect(faults).toEqual([
      expect.stringContaining("(a has no IPv4 address but InternalIP fd00::7): give nodes"),
    ]);
  });
});

describe("the cluster that the state was made on", () => {
  const HERE = { "/api/v1/namespaces/kube-system": { metadata: { name: "kube-system", uid: "here" } } };
  const nodes = [{ name: "a", address: "10.0.0.1" }];

  it("is this one: no fault", async () => {
    state.cluster = { id: "here", server: "https://a.test", context: "prod" };
    expect((await check(HERE, nodes)).faults).toEqual([]);
  });

  it("is another one: names both, and every way out", async () => {
    state.cluster = { id: "there", server: "https://a.test", context: "prod" };
    expect((await check(HERE, nodes)).faults).toEqual([
      expect.stringMatching(
        /^cluster https:\S+ \(kubeconfig k, context c\) is another cluster .* has the UID here here, and the last update was on cluster https:\/\/a\.test \(context prod\) with the UID there; set kubeconfig and context back .* pulumi destroy there first; .* \(pulumi state delete --all --yes\) and run pulumi up$/,
      ),
    ]);
  });

  it("is not known where kube-system may not be read: the permission check reports that", async () => {
    state.cluster = { id: "there", server: "https://a.test", context: "" };
    expect((await check({}, nodes)).faults).toEqual([]);
  });
});
