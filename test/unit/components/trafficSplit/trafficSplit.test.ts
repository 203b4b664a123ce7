/** Tests of components/trafficSplit/trafficSplit.ts. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it, vi } from "vitest";
import { afterPropagation } from "../../../../components/trafficSplit/propagation.ts";
import { TrafficSplit } from "../../../../components/trafficSplit/trafficSplit.ts";
import { find, settled, startMocks } from "../../../support/mocks.ts";

vi.mock("../../../../components/trafficSplit/propagation.ts", () => ({
  afterPropagation: vi.fn(() => pulumi.output(undefined)),
}));

afterEach(() => pulumi.runtime.disconnect());

const OWNER = "organization/istio-lab/dev";

const VERSIONS = [
  { name: "v116", version: "1.16", image: "nginx:1.16.1", replicas: 3, page: "v1.16.1\n" },
  { name: "v117", version: "1.17", image: "nginx:1.17.9", replicas: 2, page: "v1.17.9\n" },
];

const ARGS = {
  namespace: "default",
  service: "nginx-svc",
  host: "nginx.hung.org.hk",
  gatewayHosts: ["*.hung.org.hk"],
  versions: VERSIONS,
  owner: OWNER,
};

describe("TrafficSplit", () => {
  it("is the article's", async () => {
    const resources = await startMocks();
    const split = new TrafficSplit("split", {
      ...ARGS,
      weights: { v116: 100, v117: 0 },
    });
    expect(await settled(split.weights)).toEqual({ v116: 100, v117: 0 });
    await pulumi.runtime.disconnect();
    expect(find(resources, "split", "VirtualService").inputs).toMatchObject({
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "nginx", namespace: "default", annotations: { "istio-lab/owner": OWNER } },
      spec: {
        hosts: ["nginx.hung.org.hk"],
        gateways: ["nginx-gateway"],
        http: [
          {
            name: "weights-v117-0-v116-100",
            route: [
              { destination: { host: "nginx-svc", port: { number: 80 }, subset: "v117" }, weight: 0 },
              { destination: { host: "nginx-svc", port: { number: 80 }, subset: "v116" }, weight: 100 },
            ],
          },
        ],
      },
    });
    expect(find(resources, "split-subsets").inputs).toMatchObject({
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "nginx", namespace: "default", annotations: { "istio-lab/owner": OWNER } },
      spec: {
        host: "nginx-svc",
        subsets: [
          { name: "v117", labels: { app: "nginx", version: "1.17" } },
          { name: "v116", labels: { app: "nginx", version: "1.16" } },
        ],
      },
    });
    expect(find(resources, "split-gateway").inputs).toMatchObject({
      apiVersion: "networking.istio.io/v1",
      kind: "Gateway",
      metadata: { name: "nginx-gateway", namespace: "default", annotations: { "istio-lab/owner": OWNER } },
      spec: {
        selector: { istio: "ingressgateway" },
        servers: [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*.hung.org.hk"] }],
      },
    });
  });
});

describe("a change of the versions", () => {
  /** In a preview, because an update waits between the two. */
  const previewed = async (versions: typeof VERSIONS, weights: Record<string, number>) => {
    const resources = await startMocks({}, { preview: true });
    new TrafficSplit("split", {
      ...ARGS,
      versions,
      weights,
      routed: [
        { name: "v117", version: "1.17" },
        { name: "v116", version: "1.16" },
      ],
    });
    await pulumi.runtime.disconnect();
    return {
      routes: find(resources, "split", "VirtualService").dependencies,
      subsets: find(resources, "split-subsets").dependencies,
      named: find(resources, "split-subsets").inputs.spec?.subsets?.map(({ name }: { name: string }) => name),
    };
  };

  it("lets a route go before its subset", async () => {
    expect(await previewed(VERSIONS.slice(0, 1), { v116: 100 })).toMatchObject({
      routes: ["split-gateway"],
      subsets: ["split"],
    });
  });

  it("keeps the subset that goes while another comes, for one update", async () => {
    const v118 = { name: "v118", version: "1.18", image: "nginx:1.18.0", replicas: 1, page: "v1.18.0\n" };
    expect(await previewed([...VERSIONS.slice(0, 1), v118], { v116: 50, v118: 50 })).toEqual({
      routes: ["split-gateway", "split-subsets"],
      subsets: [],
      named: ["v117", "v118", "v116"],
    });
  });

  it("sends requests to a new version only when proxies know its pods", async () => {
    await startMocks();
    vi.mocked(afterPropagation).mockClear();
    const split = new TrafficSplit("split", {
      ...ARGS,
      weights: { v116: 50, v117: 50 },
      routed: [{ name: "v116", version: "1.16" }],
      backends: [new k8s.core.v1.Pod("nginx-v117", {})],
    });
    await settled(split.weights);
    const written = vi.mocked(afterPropagation).mock.calls.map(([resources]) => resources);
    const names = await Promise.all(written.map((each) => Promise.all(each.map(({ urn }) => settled(urn)))));
    expect(names.map((each) => each.map((urn) => String(urn).split("::").at(-1)))).toEqual([
      [],
      ["split-subsets", "nginx-v117"],
    ]);
  });
});
