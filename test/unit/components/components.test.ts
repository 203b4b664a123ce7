import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { HaproxyEdge } from "../../../components/haproxyEdge/haproxyEdge.ts";
import { IngressPorts, nodePortsOf } from "../../../components/haproxyEdge/ingressPorts.ts";
import { Istio, type IstioArgs, istioOperator } from "../../../components/istio/istio.ts";
import { changeover, TrafficSplit } from "../../../components/trafficSplit/trafficSplit.ts";
import { MeshNamespace } from "../../../components/webApp/meshNamespace.ts";
import { WebApp } from "../../../components/webApp/webApp.ts";
import { find, GATEWAY_PORTS, HOST_KEY, PRIVATE_KEY, settled, startMocks } from "../../support/mocks.ts";

afterEach(() => pulumi.runtime.disconnect());

const OWNER = "organization/istio-lab/dev";

const VERSIONS = [
  { name: "v116", version: "1.16", image: "nginx:1.16.1", replicas: 3, page: "v1.16.1\n" },
  { name: "v117", version: "1.17", image: "nginx:1.17.9", replicas: 2, page: "v1.17.9\n" },
];

describe("Istio", () => {
  const ARGS: IstioArgs = { version: "1.31.0", profile: "demo", owner: OWNER };

  it("claims, installs, waits; only the claim's deletion uninstalls", async () => {
    const resources = await startMocks();
    const istio = new Istio("istio", ARGS);
    expect(await settled(istio.gatewayService)).toBe("istio-system/istio-ingressgateway");
    await pulumi.runtime.disconnect();
    const commands = resources.filter(({ type }) => type === "command:local:Command");
    expect(
      Object.fromEntries(
        commands.map(({ name, inputs }) => [name, [inputs.create, inputs.update, inputs.delete]]),
      ),
    ).toEqual({
      "istio-claim": [script("claim.sh"), script("claim.sh"), script("uninstall.sh")],
      istio: [script("install.sh"), script("install.sh"), undefined],
      "istio-istiod": [script("wait.sh istiod"), script("wait.sh istiod"), undefined],
      "istio-gateway": [script("wait.sh gateway"), script("wait.sh gateway"), undefined],
    });
    for (const { inputs } of commands) {
      expect(inputs).toMatchObject({
        addPreviousOutputInEnv: false,
        environment: { ISTIO_LAB_OWNER: "organization/istio-lab/dev", ISTIO_LAB_VERSION: "1.31.0" },
      });
    }
  });

  it("hands kubeconfig and context to its scripts only when they are configured", async () => {
    const resources = await startMocks();
    new Istio("plain", { ...ARGS, kubeconfig: "", context: "" });
    new Istio("given", { ...ARGS, kubeconfig: "/home/me/.kube/lab", context: "lab" });
    await pulumi.runtime.disconnect();
    expect(find(resources, "plain-claim").inputs.environment).not.toHaveProperty("KUBECONFIG");
    expect(find(resources, "plain-claim").inputs.environment).not.toHaveProperty("ISTIO_LAB_CONTEXT");
    expect(find(resources, "given-claim").inputs.environment).toMatchObject({
      KUBECONFIG: "/home/me/.kube/lab",
      ISTIO_LAB_CONTEXT: "lab",
    });
  });

  it("describes the profile with its changes", () => {
    expect(parse(istioOperator(ARGS))).toEqual({
      apiVersion: "install.istio.io/v1alpha1",
      kind: "IstioOperator",
      spec: { profile: "demo", tag: "1.31.0" },
    });
    const values = { telemetry: { enabled: false }, pilot: { env: { A: "yes: no" } } };
    expect(parse(istioOperator({ ...ARGS, hub: "lab", tag: "1.31", values })).spec).toEqual({
      profile: "demo",
      hub: "lab",
      tag: "1.31",
      values,
    });
  });
});

describe("MeshNamespace", () => {
  it("patches one label", async () => {
    const resources = await startMocks();
    const mesh = new MeshNamespace("mesh", { namespace: "shop" });
    expect(await settled(mesh.namespace)).toBe("shop");
    await pulumi.runtime.disconnect();
    expect(find(resources, "mesh", "NamespacePatch").inputs.metadata).toEqual({
      name: "shop",
      labels: { "istio-injection": "enabled" },
    });
  });
});

describe("WebApp", () => {
  it("is the article's", async () => {
    const resources = await startMocks();
    const app = new WebApp("nginx", { namespace: "default", versions: VERSIONS, owner: OWNER });
    expect(await settled(app.service)).toBe("nginx-svc");
    await pulumi.runtime.disconnect();
    expect(find(resources, "nginx-pages").inputs).toMatchObject({
      metadata: {
        name: "nginx-static-files",
        namespace: "default",
        annotations: { "istio-lab/owner": OWNER },
      },
      data: { v116: "v1.16.1\n", v117: "v1.17.9\n" },
    });
    expect(find(resources, "nginx", "Service").inputs).toMatchObject({
      metadata: {
        name: "nginx-svc",
        labels: { service: "nginx" },
        annotations: { "istio-lab/owner": OWNER, "pulumi.com/skipAwait": "true" },
      },
      spec: {
        selector: { app: "nginx" },
        ports: [
          { name: "http", protocol: "TCP", port: 80 },
          { name: "https", protocol: "TCP", port: 443 },
        ],
      },
    });
    expect(find(resources, "nginx-v117").inputs).toMatchObject({
      metadata: { name: "nginx-v117", namespace: "default", annotations: { "istio-lab/owner": OWNER } },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "nginx", version: "1.17" } },
        template: {
          metadata: { labels: { app: "nginx", version: "1.17" } },
          spec: {
            containers: [
              {
                image: "nginx:1.17.9",
                readinessProbe: { httpGet: { path: "/echo/test.txt", port: 80 }, periodSeconds: 1 },
                volumeMounts: [{ name: "page", mountPath: "/usr/share/nginx/html/echo" }],
              },
            ],
            volumes: [
              {
                name: "page",
                configMap: { name: "nginx-static-files", items: [{ key: "v117", path: "test.txt" }] },
              },
            ],
          },
        },
      },
    });
  });

  it("selects no pod twice", async () => {
    const resources = await startMocks();
    new WebApp("nginx", { namespace: "default", versions: VERSIONS, owner: OWNER });
    await pulumi.runtime.disconnect();
    const selectors = ["nginx-v116", "nginx-v117"].map(
      (name) => find(resources, name).inputs.spec.selector.matchLabels,
    );
    expect(new Set(selectors.map(({ version }) => version)).size).toBe(2);
  });

  it("never goes below its replicas in a rollout", async () => {
    const resources = await startMocks();
    new WebApp("nginx", { namespace: "default", versions: VERSIONS, owner: OWNER });
    await pulumi.runtime.disconnect();
    expect(find(resources, "nginx-v116").inputs.spec.strategy.rollingUpdate).toEqual({
      maxSurge: 1,
      maxUnavailable: 0,
    });
  });
});

describe("TrafficSplit", () => {
  it("is the article's", async () => {
    const resources = await startMocks();
    const split = new TrafficSplit("split", {
      namespace: "default",
      service: "nginx-svc",
      host: "nginx.hung.org.hk",
      gatewayHosts: ["*.hung.org.hk"],
      versions: VERSIONS,
      weights: { v116: 100, v117: 0 },
      owner: OWNER,
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
  const [v116, v117, v118] = ["116", "117", "118"].map((name) => ({ name: `v${name}`, version: name }));
  const subsets = (...some: (typeof v116)[]) => some.flatMap((subset) => subset ?? []);

  it.each([
    ["nobody asks yet", [], [v116, v117], { first: "subsets", apart: false, kept: [] }],
    ["none comes or goes", [v117, v116], [v116, v117], { first: "subsets", apart: false, kept: [] }],
    ["one comes", [v116, v117], [v116, v117, v118], { first: "subsets", apart: true, kept: [] }],
    ["one goes", [v116, v117, v118], [v116, v117], { first: "routes", apart: true, kept: [] }],
    [
      "one takes another's place",
      [v116, v117],
      [v116, v118],
      { first: "subsets", apart: true, kept: [v117] },
    ],
  ])("when %s", (_, routed, wanted, expected) => {
    expect(changeover(subsets(...routed), subsets(...wanted))).toEqual(expected);
  });

  it("leaves no route without its subset at any moment, and no subset without use after the next update", () => {
    const some = fc
      .uniqueArray(fc.constantFrom("v1", "v2", "v3", "v4", "v5"), { minLength: 1 })
      .map((names) => names.map((name) => ({ name, version: name })));
    const namesOf = (subsets: readonly { name: string }[]) => subsets.map(({ name }) => name).sort();
    fc.assert(
      fc.property(some, some, (routed, wanted) => {
        const { first, apart, kept } = changeover(routed, wanted);
        const [before, after, there] = [namesOf(routed), namesOf(wanted), namesOf([...wanted, ...kept])];
        const between =
          first === "subsets" ? { routes: before, subsets: there } : { routes: after, subsets: before };
        for (const { routes, subsets } of [between, { routes: after, subsets: there }])
          expect(subsets).toEqual(expect.arrayContaining(routes));
        expect(apart).toBe(before.join() !== after.join());
        expect(changeover(wanted, wanted)).toEqual({ first: "subsets", apart: false, kept: [] });
      }),
    );
  });

  /** In a preview: an update takes its time between the two. */
  const previewed = async (versions: typeof VERSIONS, weights: Record<string, number>) => {
    const resources = await startMocks({}, { preview: true });
    new TrafficSplit("split", {
      namespace: "default",
      service: "nginx-svc",
      host: "nginx.hung.org.hk",
      gatewayHosts: ["*.hung.org.hk"],
      versions,
      weights,
      routed: [
        { name: "v117", version: "1.17" },
        { name: "v116", version: "1.16" },
      ],
      owner: OWNER,
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
});

describe("IngressPorts", () => {
  it("finds ports by name, in whatever order", async () => {
    await startMocks({}, { gatewayPorts: [...GATEWAY_PORTS].reverse() });
    const ingress = new IngressPorts("ingress", {
      gatewayService: pulumi.output("istio-system/istio-ingressgateway"),
    });
    expect(await settled(ingress.nodePorts)).toEqual({ http2: 30934, statusPort: 30580, https: 30895 });
  });

  it("does without https", () => {
    const ports = GATEWAY_PORTS.filter(({ name }) => name !== "https");
    expect(nodePortsOf(ports)).toEqual({ http2: 30934, statusPort: 30580, https: undefined });
  });

  it("says what a Service without NodePorts must become", () => {
    expect(() => nodePortsOf([{ name: "http2" }])).toThrow(
      "Service istio-ingressgateway has no NodePort of the name http2: its type must be LoadBalancer or NodePort",
    );
  });
});

describe("HaproxyEdge", () => {
  const machine = {
    host: "10.0.0.1",
    port: 2222,
    user: "debian",
    hostKey: HOST_KEY,
    configFile: "/etc/haproxy/haproxy.cfg",
  };
  const args = {
    owner: "organization/istio-lab/dev",
    nodes: [{ name: "node02", address: "10.0.0.2" }],
    nodePorts: { http2: 30934, statusPort: 30580 },
    machine,
    privateKey: PRIVATE_KEY,
  };

  it("pushes the rendered file behind its scripts, over a connection that gives up within 30 s", async () => {
    const resources = await startMocks();
    const edge = new HaproxyEdge("edge", args);
    const config = await settled(edge.config);
    await pulumi.runtime.disconnect();
    const { inputs } = find(resources, "edge", "Command");
    const { dialErrorLimit, perDialTimeout, ...where } = inputs.connection;
    expect(where).toEqual({
      host: "10.0.0.1",
      port: 2222,
      user: "debian",
      hostKey: HOST_KEY,
      privateKey: PRIVATE_KEY,
    });
    expect((dialErrorLimit + 1) * perDialTimeout).toBeLessThan(30);
    expect(inputs.stdin).toMatch(/^#!\/bin\/sh\n# Undoes push\.sh/);
    expect(inputs.stdin.endsWith(`main "$@"\n${config}`)).toBe(true);
    expect(inputs.addPreviousOutputInEnv).toBe(false);
    expect(inputs.update).toBe(inputs.create);
  });

  it("can undo a push before it is made", async () => {
    const resources = await startMocks();
    await settled(new HaproxyEdge("edge", args).config);
    await pulumi.runtime.disconnect();
    const [push, undo] = [find(resources, "edge", "Command"), find(resources, "edge-undo", "Command")];
    expect(resources.indexOf(undo)).toBeLessThan(resources.indexOf(push));
    expect(push.inputs.delete).toBeUndefined();
    expect(undo.inputs.delete).toContain("restore.sh");
    expect(undo.inputs.stdin).toMatch(/^#!\/bin\/sh\n# Undoes push\.sh/);
  });

  it("is the same when nothing has changed", async () => {
    const wires: string[] = [];
    for (const _ of [1, 2]) {
      const resources = await startMocks();
      new HaproxyEdge("edge", args);
      await pulumi.runtime.disconnect();
      wires.push(find(resources, "edge", "Command").wire);
    }
    expect(wires[0]).toBe(wires[1]);
  });
});

function script(command: string): string {
  return `exec sh components/istio/${command}`;
}
