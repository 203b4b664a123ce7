import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeCertificate } from "../support/certificates.ts";
import {
  find,
  GATEWAY_PORTS,
  PRIVATE_KEY,
  type Registered,
  settled,
  startMocks,
  type World,
} from "../support/mocks.ts";

/** What the program finds; a cluster where clients are asking already, unless a test says otherwise. */
const found = vi.hoisted(() => ({
  routed: [] as { name: string; version: string }[],
  ports: [] as object[],
}));

vi.mock("../../clients/kubernetes.ts", () => ({
  KubernetesApi: {
    connect: async () => ({ get: async () => ({ spec: { ports: found.ports } }), close: async () => {} }),
  },
}));

vi.mock("../../preflight/preflight.ts", () => ({
  preflight: async () => ({
    id: "0b7c1e2f",
    routed: found.routed,
    nodes: [
      { name: "rancher-node02", address: "10.0.0.2" },
      { name: "rancher-node03", address: "10.0.0.3" },
    ],
  }),
}));

const ROUTED = [
  { name: "v117", version: "1.17" },
  { name: "v116", version: "1.16" },
];

beforeEach(() => vi.resetModules());
beforeEach(() => {
  found.routed = ROUTED;
  found.ports = GATEWAY_PORTS;
});
afterEach(() => pulumi.runtime.disconnect());

describe("the whole program", () => {
  it("waits for new pods and for the whole of Istio only where clients may be asking already", async () => {
    const waited = async () => {
      const { resources } = await up();
      const dependencies = [find(resources, "split", "VirtualService"), find(resources, "nginx", "WebApp")];
      return dependencies.map((resource) => resource.dependencies);
    };
    expect(await waited()).toEqual([
      ["nginx-v116", "nginx-v117", "split-gateway", "split-subsets"],
      ["istio", "mesh"],
    ]);
    await pulumi.runtime.disconnect();
    found.routed = [];
    expect(await waited()).toEqual([
      ["split-gateway", "split-subsets"],
      ["istio-istiod", "mesh"],
    ]);
  });

  it("registers this, in these parents", async () => {
    const { resources } = await up();
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
      ].sort(),
    );
  });

  it("puts every object of the cluster through the one provider", async () => {
    const { resources } = await up();
    const objects = resources.filter(({ type }) => type.startsWith("kubernetes:"));
    expect(objects.map(({ provider }) => provider)).toEqual(objects.map(() => "cluster"));
    expect(find(resources, "cluster").inputs).toMatchObject({
      clusterIdentifier: "0b7c1e2f",
      enableConfigMapMutable: "true",
      enableSecretMutable: "true",
      enablePatchForce: "true",
    });
  });

  it("waits for what is needed and for no more", async () => {
    const { resources } = await up();
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
    const { outputs, resources } = await up();
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
    });
  });

  it("takes the nodes of the config before the cluster's", async () => {
    const { outputs, resources } = await up({ nodes: [{ name: "node02", address: "192.0.2.2" }] });
    expect(outputs.nodes).toEqual([{ name: "node02", address: "192.0.2.2" }]);
    const servers = find(resources, "edge", "Command").inputs.stdin.match(/^ {4}server .*$/gm);
    expect(new Set(servers)).toEqual(new Set(["    server node02 192.0.2.2:30934 tcp-ut 2s"]));
  });

  it("changes the VirtualService and nothing else when the weights change", async () => {
    const before = await up();
    const after = await up({ weights: { v116: 10, v117: 90 } });
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:TrafficSplit$kubernetes:networking.istio.io/v1:VirtualService::split",
    ]);
    expect(after.outputs.weights).toEqual({ v116: 10, v117: 90 });
    expect(after.outputs.configHash).toBe(before.outputs.configHash);
  });

  it("changes the pushed file and nothing else when a NodePort changes", async () => {
    const before = await up();
    const gatewayPorts = GATEWAY_PORTS.map((port) =>
      port.name === "http2" ? { ...port, nodePort: 31000 } : port,
    );
    found.ports = gatewayPorts;
    const after = await up();
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:HaproxyEdge$command:remote:Command::edge",
    ]);
  });

  it("rolls only the pods of the version whose page changes", async () => {
    const versions = (page: string) => [
      { name: "v116", version: "1.16", image: "nginx:1.16.1" },
      { name: "v117", version: "1.17", image: "nginx:1.17.9", page },
    ];
    const before = await up({ versions: versions("one") });
    const after = await up({ versions: versions("two") });
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v117",
      "istio-lab:index:WebApp$kubernetes:core/v1:ConfigMap::nginx-pages",
    ]);
  });

  it("updates Istio in place: no command has triggers", async () => {
    const before = await up();
    const after = await up({
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
    const before = await up();
    const after = await up({ istio });
    expect(changed(before.resources, after.resources)).toEqual(
      expect.arrayContaining([
        "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v116",
        "istio-lab:index:WebApp$kubernetes:apps/v1:Deployment::nginx-v117",
      ]),
    );
  });

  it("rolls no pod when values of Istio change that no sidecar is made of", async () => {
    const before = await up();
    const after = await up({ istio: { values: { pilot: { env: { A: "b" } } } } });
    expect(changed(before.resources, after.resources)).toEqual([
      "istio-lab:index:Istio$command:local:Command::istio",
    ]);
  });

  it("neither installs nor uninstalls an Istio that it does not manage", async () => {
    const { resources } = await up({ istio: { manage: false } });
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

  it("previews an empty cluster: what hangs on the gateway's Service is unknown, nothing fails", async () => {
    const { outputs, resources } = await up({}, { preview: true });
    expect(resources.map(({ name }) => name)).toContain("edge");
    expect(outputs.nodePorts).toBeUndefined();
    expect(outputs.configHash).toBeUndefined();
    expect(outputs.url).toBe("http://nginx.hung.org.hk/echo/test.txt");
  });

  it("keeps the private key in a secret", async () => {
    const { resources, outputs } = await up();
    const key = JSON.stringify(PRIVATE_KEY).slice(1, -1);
    expect(find(resources, "edge", "Command").inputs.connection.privateKey).toBe(PRIVATE_KEY);
    for (const { wire, path } of resources)
      expect([path, withoutSecrets(wire).includes(key)]).toEqual([path, false]);
    expect(JSON.stringify(outputs)).not.toContain(key);
  });
});

describe("https", () => {
  const { certificate, key } = makeCertificate("nginx.hung.org.hk");
  const pem = certificate + key;
  const config = (mode: string) => ({
    tls: { mode, redirect: true },
    tlsCertificate: certificate,
    tlsKey: key,
  });
  const inWire = (text: string) => JSON.stringify(text).slice(1, -1);

  it("at the load balancer: the certificate goes with the file, as a secret", async () => {
    const { resources, outputs } = await up(config("terminate"));
    const { stdin, create } = find(resources, "edge", "Command").inputs;
    expect(stdin).toContain(`${pem}# istio-lab owner=`);
    expect(stdin).toMatch(/bind \*:443 ssl crt \/etc\/haproxy\/haproxy\.cfg\.tls-[0-9a-f]{16}\.pem /);
    expect(create).not.toContain("PRIVATE KEY");
    expect(outputs.url).toBe("https://nginx.hung.org.hk/echo/test.txt");
    for (const { wire } of resources) expect(withoutSecrets(wire)).not.toContain(inWire(key));
    expect(JSON.stringify(outputs)).not.toContain(inWire(key));
  });

  it("at the gateway: the certificate goes into a Secret that the Gateway names", async () => {
    const { resources } = await up(config("passthrough"));
    expect(find(resources, "edge", "Command").inputs.stdin).not.toContain("BEGIN");
    expect(find(resources, "edge", "Command").inputs.stdin).toContain("server rancher-node02 10.0.0.2:30895");
    const secret = find(resources, "split-certificate");
    expect(secret.inputs).toMatchObject({
      type: "kubernetes.io/tls",
      metadata: { name: "nginx-gateway-tls-default", namespace: "istio-system" },
      stringData: { "tls.crt": certificate, "tls.key": key },
    });
    expect(withoutSecrets(secret.wire)).not.toContain(inWire(key));
    const gateway = find(resources, "split-gateway");
    expect(gateway.dependencies).toEqual(["split-certificate"]);
    // The load balancer hands nothing on to a port that is not open yet.
    expect(find(resources, "edge", "HaproxyEdge").dependencies).toEqual(["istio-istiod", "split-gateway"]);
    expect(gateway.inputs.spec.servers[1]).toEqual({
      port: { number: 443, name: "https", protocol: "HTTPS" },
      hosts: ["*.hung.org.hk"],
      tls: { mode: "SIMPLE", credentialName: "nginx-gateway-tls-default" },
    });
  });
});

describe("the stats page", () => {
  it("has its password, and what is made of it, in secrets only", async () => {
    const statsPassword = "correct-horse-battery";
    const { resources, outputs } = await up({ stats: { page: "127.0.0.1:8404" }, statsPassword });
    const { stdin } = find(resources, "edge", "Command").inputs;
    const hash = /-m str ([0-9A-F]{64}) /.exec(stdin)?.[1] ?? "none";
    for (const { wire } of resources) {
      expect(withoutSecrets(wire)).not.toContain(statsPassword);
      expect(withoutSecrets(wire)).not.toContain(hash);
    }
    expect(stdin).not.toContain(statsPassword);
    expect(outputs.configHash).toMatch(/^[0-9a-f]{64}$/);
  });
});

async function up(config: Record<string, unknown> = {}, world: World = {}) {
  vi.resetModules();
  const resources = await startMocks(config, world);
  const program: Record<string, unknown> = await import("../../index.ts");
  const outputs = Object.fromEntries(
    await Promise.all(
      Object.entries(program).map(async ([name, output]) => [name, await settled(output)] as const),
    ),
  );
  await pulumi.runtime.disconnect();
  return { resources, outputs };
}

/** Paths of the resources whose inputs differ. */
function changed(before: readonly Registered[], after: readonly Registered[]): string[] {
  expect(after.map(({ path }) => path).sort()).toEqual(before.map(({ path }) => path).sort());
  const old = new Map(before.map(({ path, wire }) => [path, wire]));
  return after.flatMap(({ path, wire }) => (old.get(path) === wire ? [] : [path])).sort();
}

/** The wire without what it marks as secret. */
function withoutSecrets(wire: string): string {
  return JSON.stringify(
    JSON.parse(wire, (_, value) =>
      value?.["4dabf18193072939515e22adb298388d"] === "1b47061264138c4ac30d75fd1eb44270" ? "[secret]" : value,
    ),
  );
}
