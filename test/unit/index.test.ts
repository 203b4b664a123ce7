/** The whole program: what it registers, in which order, and what a change of the configuration changes. */
import { describe, expect, it } from "vitest";
import { find, GATEWAY_PORTS, type Registered } from "../support/mocks.ts";
import { type Found, runProgram } from "../support/program.ts";

describe("the whole program", () => {
  it("waits for new pods and for the whole of Istio only where traffic may already flow", async () => {
    const waited = async (found: Found = {}) => {
      const { resources } = await runProgram({}, found);
      const dependencies = [find(resources, "split", "VirtualService"), find(resources, "nginx", "WebApp")];
      return dependencies.map((resource) => resource.dependencies);
    };
    expect(await waited()).toEqual([
      ["nginx-v116", "nginx-v117", "split-gateway", "split-subsets"],
      ["istio", "mesh"],
    ]);
    expect(await waited({ routed: [] })).toEqual([
      ["split-gateway", "split-subsets"],
      ["istio-istiod", "mesh"],
    ]);
  });

  it("ends a first update only when the page answers", async () => {
    const page = {
      host: "nginx.hung.org.hk",
      machine: { host: "10.0.0.1", ports: { http: 80, https: 443 } },
      https: false,
    };
    expect((await runProgram({}, { routed: [] })).awaited).toMatchObject([page]);
    expect((await runProgram()).awaited).toEqual([]);
  });

  it("registers this, in these parents", async () => {
    const { resources } = await runProgram();
    expect(resources.map(({ path }) => path).sort()).toEqual(
      [
        "pulumi:providers:kubernetes::cluster",
        "istio-lab:index:Istio::istio",
        "istio-lab:index:Istio$command:local:Command::istio",
        "istio-lab:index:Istio$command:local:Command::istio-claim",
        "istio-lab:index:Istio$command:local:Command::istio-istiod",
        "istio-lab:index:Istio$command:local:Command::istio-gateway",
        "istio-lab:index:MeshNamespace::mesh",
        "istio-lab:index:MeshNamespace$kubernetes:core/v1:NamespacePatch::mesh",
        "istio-lab:index:WebApp::nginx",
        "istio-lab:index:WebApp$kubernetes:core/v1:ConfigMap::nginx-pages",
        "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v116",
        "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v117",
        "istio-lab:index:WebApp$kubernetes:core/v1:Service::nginx",
        "istio-lab:index:TrafficSplit::split",
        "istio-lab:index:TrafficSplit$kubernetes:networking.istio.io/v1:Gateway::split-gateway",
        "istio-lab:index:TrafficSplit$kubernetes:networking.istio.io/v1:DestinationRule::split-subsets",
        "istio-lab:index:TrafficSplit$kubernetes:networking.istio.io/v1:VirtualService::split",
        "istio-lab:index:IngressPorts::ingress",
        "istio-lab:index:HaproxyEdge::edge",
        "istio-lab:index:HaproxyEdge$command:remote:Command::edge",
        "istio-lab:index:HaproxyEdge$command:remote:Command::edge-undo",
        "istio-lab:index:HaproxyEdge$command:local:Command::edge-reachable",
        "istio-lab:index:ClusterGuard::guard",
        "istio-lab:index:ClusterGuard$command:local:Command::guard",
      ].sort(),
    );
  });

  it("puts every object of the cluster through the one provider", async () => {
    const { resources } = await runProgram();
    const objects = resources.filter(({ type }) => type.startsWith("kubernetes:"));
    expect(objects.map(({ provider }) => provider)).toEqual(objects.map(() => "cluster"));
    expect(find(resources, "cluster").inputs).toMatchObject({
      clusterIdentifier: "0b7c1e2f",
      enableConfigMapMutable: "true",
      enableSecretMutable: "true",
      enablePatchForce: "true",
      enableServerSideApply: "true",
    });
  });

  it("waits for what is needed and for no more", async () => {
    const { resources } = await runProgram();
    const dependencies = (name: string, type?: string) => find(resources, name, type).dependencies;
    expect(dependencies("istio", "local:Command")).toEqual(["istio-claim"]);
    expect(dependencies("istio-istiod")).toEqual(["istio-claim"]);
    expect(dependencies("istio-gateway")).toEqual(["istio-claim"]);
    expect(dependencies("nginx", "WebApp")).toEqual(["istio", "mesh"]);
    expect(dependencies("split", "TrafficSplit")).toEqual(["istio-istiod"]);
    expect(dependencies("nginx-v116")).toEqual(["nginx-pages"]);
    expect(dependencies("split", "VirtualService")).toEqual(
      ["nginx-v116", "nginx-v117", "split-gateway", "split-subsets"].sort(),
    );
    expect(dependencies("edge", "HaproxyEdge")).toEqual(["istio-istiod"]);
    expect(dependencies("edge", "remote:Command")).toEqual(["edge-undo", "istio-gateway"]);
  });

  it("has these outputs", async () => {
    const { outputs, resources } = await runProgram();
    const config: string = find(resources, "edge", "Command").inputs.stdin;
    expect(outputs).toEqual({
      url: "http://nginx.hung.org.hk/echo/test.txt",
      host: "nginx.hung.org.hk",
      namespace: "default",
      weights: { v116: 50, v117: 50 },
      nodePorts: { http2: 30934, statusPort: 30580, https: 30895 },
      nodes: [
        { name: "rancher-node02", address: "10.0.0.2" },
        { name: "rancher-node03", address: "10.0.0.3" },
      ],
      configFile: "/etc/haproxy/haproxy.cfg",
      configHash: /^# istio-lab owner=organization\/istio-lab\/test sha256=(\w+)$/m.exec(config)?.[1],
      pages: { v116: "v1.16.1\n", v117: "v1.17.9\n" },
      versionLabels: { v116: "1.16", v117: "1.17" },
      monitoring: null,
      tracing: null,
    });
  });

  it("takes the nodes of the config before the cluster's", async () => {
    const { outputs, resources } = await runProgram({ nodes: [{ name: "node02", address: "192.0.2.2" }] });
    expect(outputs.nodes).toEqual([{ name: "node02", address: "192.0.2.2" }]);
    const servers = find(resources, "edge", "Command").inputs.stdin.match(/^ {4}server .*$/gm);
    expect(new Set(servers)).toEqual(new Set(["    server node02 192.0.2.2:30934 tcp-ut 2s"]));
  });

  it("changes the VirtualService and nothing else when the weights change", async () => {
    const before = await runProgram();
    const after = await runProgram({ weights: { v116: 10, v117: 90 } });
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:TrafficSplit$kubernetes:networking.istio.io/v1:VirtualService::split",
    ]);
    expect(after.outputs.weights).toEqual({ v116: 10, v117: 90 });
    expect(after.outputs.configHash).toBe(before.outputs.configHash);
  });

  it("changes the pushed file and nothing else when a NodePort changes", async () => {
    const before = await runProgram();
    const gatewayPorts = GATEWAY_PORTS.map((port) =>
      port.name === "http2" ? { ...port, nodePort: 31000 } : port,
    );
    const after = await runProgram({}, { gatewayPorts });
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:HaproxyEdge$command:remote:Command::edge",
    ]);
  });

  it("rolls only the pods of the version whose page changes", async () => {
    const versions = (page: string) => [
      { name: "v116", version: "1.16", image: "nginx:1.16.1" },
      { name: "v117", version: "1.17", image: "nginx:1.17.9", page },
    ];
    const before = await runProgram({ versions: versions("one") });
    const after = await runProgram({ versions: versions("two") });
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v117",
      "istio-lab:index:WebApp$kubernetes:core/v1:ConfigMap::nginx-pages",
    ]);
  });

  it("updates Istio in place: no command has triggers", async () => {
    const before = await runProgram();
    const after = await runProgram({
      istio: { version: "1.31.2", profile: "default", hub: "lab", values: { a: { b: 1 } } },
    });
    expect(changed(before.resources, after.resources)).toContain(
      "istio-lab:index:Istio$command:local:Command::istio",
    );
    for (const { inputs } of after.resources) expect(inputs).not.toHaveProperty("triggers");
  });

  it.each([
    ["tag", { tag: "1.31.1" }],
    ["version", { version: "1.31.1" }],
    ["profile", { profile: "default" }],
    ["values of the sidecar", { values: { global: { proxy: { logLevel: "debug" } } } }],
  ])("rolls all pods, for a new sidecar, when Istio's %s changes", async (_, istio) => {
    const before = await runProgram();
    const after = await runProgram({ istio });
    expect(changed(before.resources, after.resources)).toEqual(
      expect.arrayContaining([
        "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v116",
        "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v117",
      ]),
    );
  });

  it("rolls no pod when values of Istio change that no sidecar is made of", async () => {
    const before = await runProgram();
    const after = await runProgram({ istio: { values: { pilot: { env: { A: "b" } } } } });
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:Istio$command:local:Command::istio",
    ]);
  });

  it("lets a destroy wait for the app's pods where uninstall.sh does not", async () => {
    const POLICY = "pulumi.com/deletionPropagationPolicy";
    for (const [manage, policy] of [
      [true, "background"],
      [false, undefined],
    ] as const) {
      const { resources } = await runProgram({ istio: { manage } });
      expect(find(resources, "nginx-v116").inputs.metadata.annotations[POLICY]).toBe(policy);
    }
  });

  it("neither installs nor uninstalls an Istio that it does not manage", async () => {
    const { resources } = await runProgram({ istio: { manage: false } });
    const commands = resources.filter(
      ({ type, name }) => type === "command:local:Command" && name.startsWith("istio"),
    );
    expect(commands.map(({ inputs }) => [inputs.create, inputs.delete])).toEqual([
      ["exec sh components/istio/wait.sh istiod", undefined],
      ["exec sh components/istio/wait.sh gateway", undefined],
    ]);
    const { template } = find(resources, "nginx-v116").inputs.spec;
    expect(Object.keys(template.metadata.annotations)).toEqual(["istio-lab/page"]);
  });

  it("previews an empty cluster: what depends on the gateway's Service is unknown, nothing fails", async () => {
    const { outputs, resources } = await runProgram({}, { preview: true });
    expect(resources.map(({ name }) => name)).toContain("edge");
    expect(outputs.nodePorts).toBeUndefined();
    expect(outputs.configHash).toBeUndefined();
    expect(outputs.url).toBe("http://nginx.hung.org.hk/echo/test.txt");
  });
});

/** Paths of the resources whose inputs differ. */
function changed(before: readonly Registered[], after: readonly Registered[]): string[] {
  expect(after.map(({ path }) => path).sort()).toEqual(before.map(({ path }) => path).sort());
  const old = new Map(before.map(({ path, wire }) => [path, wire]));
  return after.flatMap(({ path, wire }) => (old.get(path) === wire ? [] : [path])).sort();
}
