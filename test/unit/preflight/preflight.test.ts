import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ClusterArgs, readCluster } from "../../../preflight/preflight.ts";
import { makeExpiredCertificate } from "../../support/certificates.ts";
import { findKubectl } from "../../support/kubectl.ts";

// What is asked of a cluster before anything is touched: against an API server of a few answers on loopback, with
// kubectl and istioctl of the test's own first on PATH.
const OWNER = "organization/istio-lab/test";
const ASK: ClusterArgs = {
  kubeconfig: "",
  context: "",
  namespace: "default",
  wantNodes: false,
  owner: OWNER,
  versions: [
    { name: "v116", version: "1.16" },
    { name: "v117", version: "1.17" },
  ],
  gatewayTls: false,
  istio: { version: "1.31.0", manage: true },
};

const KUBECTL = findKubectl();
const servers: Server[] = [];
let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "istio-lab-"));
  mkdirSync(join(root, "bin"));
  vi.stubEnv("PATH", `${join(root, "bin")}:/usr/bin:/bin`);
  symlinkSync(KUBECTL, join(root, "bin", "kubectl"));
  tool("istioctl", "echo client version: 1.31.2");
});
afterEach(() => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  rmSync(root, { recursive: true });
});

describe("a cluster that is ready", () => {
  it("tells its identity and its usable nodes, by name", async () => {
    const items = [
      node("node3"),
      node("node2"),
      node("control1", {
        spec: { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] },
      }),
      node("cordoned4", { spec: { unschedulable: true } }),
      node("gone5", { conditions: [{ type: "Ready", status: "Unknown" }] }),
      node("nowhere6", { addresses: [] }),
      node("reluctant7", { spec: { taints: [{ key: "x", effect: "PreferNoSchedule" }] } }),
    ];
    const { kubeconfig } = await cluster({ "/api/v1/nodes": { items } });
    expect(await readCluster({ ...ASK, kubeconfig, wantNodes: true })).toEqual({
      id: "0b7c1e2f",
      nodes: [
        { name: "node2", address: "10.0.0.2" },
        { name: "node3", address: "10.0.0.3" },
        { name: "reluctant7", address: "10.0.0.7" },
      ],
      routed: [],
    });
  });

  it("is not asked for nodes that are given, and changed by nothing", async () => {
    const { kubeconfig, asked } = await cluster();
    expect(await readCluster({ ...ASK, kubeconfig })).toEqual({ id: "0b7c1e2f", nodes: [], routed: [] });
    expect(asked.join("\n")).not.toContain("/nodes");
    expect(asked.filter((question) => !question.startsWith("GET "))).toEqual([`POST ${REVIEWS}`]);
  });

  it("may hold what this stack has made", async () => {
    const { kubeconfig } = await cluster({
      "/api/v1/namespaces/istio-system": { metadata: { annotations: { "istio-lab/owner": OWNER } } },
      [ISTIODS]: { items: [{ metadata: { namespace: "istio-system", name: "istiod" } }] },
      [SERVICE]: { metadata: { name: "nginx-svc", annotations: { "istio-lab/owner": OWNER } } },
      [CONFIG_MAP]: { metadata: { name: "nginx-static-files", annotations: { "istio-lab/owner": OWNER } } },
    });
    expect((await readCluster({ ...ASK, kubeconfig })).id).toBe("0b7c1e2f");
  });

  it("tells where requests go: to the subsets that the routes name and the DestinationRule has", async () => {
    const route = ["v117", "v116", "gone"].map((subset) => ({ destination: { host: "nginx-svc", subset } }));
    const subsets = ["1.18", "1.17", "1.16"].map((version) => ({
      name: `v${version.replace(".", "")}`,
      labels: { app: "nginx", version },
    }));
    const metadata = { name: "nginx", annotations: { "istio-lab/owner": OWNER } };
    const { kubeconfig } = await cluster({
      [VIRTUAL_SERVICE]: { metadata, spec: { http: [{ route }] } },
      [DESTINATION_RULE]: { metadata, spec: { subsets } },
    });
    expect((await readCluster({ ...ASK, kubeconfig })).routed).toEqual([
      { name: "v117", version: "1.17" },
      { name: "v116", version: "1.16" },
    ]);
    const without = await cluster({ [VIRTUAL_SERVICE]: { metadata, spec: { http: [{ route }] } } });
    expect((await readCluster({ ...ASK, kubeconfig: without.kubeconfig })).routed).toEqual([]);
  });

  it("is reached by the entries of several kubeconfigs, of two with one name the first", async () => {
    const one = await cluster();
    const two = await cluster({ "/api/v1/namespaces/kube-system": { metadata: { uid: "another" } } });
    vi.stubEnv("KUBECONFIG", `/no/such/file:${one.kubeconfig}:${two.kubeconfig}`);
    expect((await readCluster(ASK)).id).toBe("0b7c1e2f");
  });
});

describe("a kubeconfig that leads nowhere", () => {
  it("is not there", () =>
    expectFaults(
      { kubeconfig: "/no/such/file" },
      /^kubeconfig \/no\/such\/file cannot be used: .*no such file.*; correct it, or set kubeconfig/,
    ));

  it("is none", async () => {
    vi.stubEnv("KUBECONFIG", undefined);
    vi.stubEnv("HOME", root);
    await expectFaults(
      {},
      /^there is no kubeconfig: neither KUBECONFIG nor ~\/\.kube\/config; set kubeconfig/,
    );
  });

  it("has no such context", async () => {
    const { kubeconfig } = await cluster();
    await expectFaults(
      { kubeconfig, context: "prod" },
      /has no usable context prod; it has: lab; set context/,
    );
  });

  it("has a certificate that has expired", async () => {
    const { certificate, key } = makeExpiredCertificate("me");
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const user = { "client-certificate-data": base64(certificate), "client-key-data": base64(key) };
    const { kubeconfig } = await cluster({}, { user, otherwise: 401, only: true });
    await expectFaults({ kubeconfig }, /user's certificate expired on \d+-\S+Z; get a new kubeconfig/);
  });

  it("names a server that does not answer", async () => {
    const { kubeconfig } = await cluster();
    for (const server of servers.splice(0)) server.close().closeAllConnections();
    await expectFaults(
      { kubeconfig },
      /^cluster http:\S+ \(kubeconfig .*, context lab\) does not answer: .*connection refused; is the cluster up/,
    );
  });

  it("names a server that takes every question and answers none", async () => {
    const { kubeconfig } = await cluster({}, { silent: true });
    await expectFaults(
      { kubeconfig },
      /does not answer in time; is the cluster up.* set context or kubeconfig/,
    );
  }, 10_000);

  it.each([
    [401, /does not know this user/],
    [500, /answers with an error: .*HTTP 500/],
  ])("leads to a server that answers HTTP %i", async (otherwise, message) => {
    const { kubeconfig } = await cluster({}, { otherwise, only: true });
    await expectFaults({ kubeconfig }, message);
  });
});

describe("a cluster that is not ready", () => {
  it("has no usable node", async () => {
    const { kubeconfig } = await cluster({ "/api/v1/nodes": { items: [node("n1", { addresses: [] })] } });
    await expectFaults(
      { kubeconfig, wantNodes: true },
      /^nodes is empty, and none of the 1 nodes of cluster http:.* is ready.*: give nodes as a list/,
    );
  });

  it("has no such namespace", async () => {
    const { kubeconfig } = await cluster();
    await expectFaults(
      { kubeconfig, namespace: "shop" },
      /^namespace is shop, and cluster .* has no such namespace; create it \(kubectl create namespace shop\)/,
    );
  });

  it.each([
    ["v1.31.9", true],
    ["v1.32.0", false],
    ["v1.40.1+k3s1", false],
  ])("is Kubernetes %s, too old for Istio 1.31: %s", async (gitVersion, tooOld) => {
    const { kubeconfig } = await cluster({ "/version": { gitVersion } });
    const fault =
      /^istio\.version is 1\.31\.0, and Istio 1\.31 supports Kubernetes 1\.32 and later; .* is v1\.31\.9: upgrade/;
    if (tooOld) await expectFaults({ kubeconfig }, fault);
    else await readCluster({ ...ASK, kubeconfig });
  });

  it("allows this user less than is needed: each verb on each resource, in one line", async () => {
    const { kubeconfig } = await cluster(
      {},
      { refused: ({ verb, resource }) => verb === "*" || verb === "patch" || resource === "clusterroles" },
    );
    await expectFaults(
      { kubeconfig },
      /^cluster .* does not allow this user to patch namespaces default; .*patch virtualservices\.networking\.istio\.io in namespace default; .*get, create, patch, delete clusterroles\.rbac\.authorization\.k8s\.io; .*: have these allowed/,
    );
  });

  it("allows no Secret beside the gateway, which matters where that serves https itself", async () => {
    const { kubeconfig } = await cluster(
      {},
      { refused: ({ verb, resource }) => verb === "*" || resource === "secrets" },
    );
    await readCluster({ ...ASK, kubeconfig });
    await expectFaults(
      { kubeconfig, gatewayTls: true },
      /does not allow this user to get, create, patch, delete secrets in namespace istio-system: have these allowed/,
    );
  });

  it("forbids even to look: the permissions name it", async () => {
    const { kubeconfig } = await cluster(
      { "/api/v1/namespaces/kube-system": 403, [ISTIODS]: 403 },
      { refused: () => true },
    );
    await expectFaults(
      { kubeconfig },
      /does not allow this user to get namespaces kube-system; get, patch namespaces default;/,
    );
  });

  it.each<[string, Paths, RegExp]>([
    [
      "of nobody known",
      { [ISTIODS]: { items: [{ metadata: { namespace: "istio-system", name: "istiod" } }] } },
      /^there is an Istio .* did not install \(istio-system\/istiod\): set istio\.manage to false/,
    ],
    [
      "of another stack",
      {
        "/api/v1/namespaces/istio-system": {
          metadata: { annotations: { "istio-lab/owner": "organization/istio-lab/prod" } },
        },
      },
      /^the Istio in this cluster was installed by stack organization\/istio-lab\/prod; .* set istio\.manage to false/,
    ],
  ])("has an Istio %s", async (_, paths, message) => {
    const { kubeconfig } = await cluster(paths);
    await expectFaults({ kubeconfig }, message);
  });

  it("has no Istio where one is to be used", async () => {
    const { kubeconfig } = await cluster({
      [ISTIODS]: { items: [{ metadata: { namespace: "mesh", name: "istiod-canary" } }] },
    });
    await expectFaults(
      { kubeconfig, istio: { version: "1.31.0", manage: false } },
      /^istio\.manage is false, and the cluster has no Deployment istio-system\/istiod and no Service istio-system\/istio-ingressgateway \(control planes found: mesh\/istiod-canary\): set istio\.manage to true/,
    );
  });

  it("has the stack's own Istio where it is to be somebody else's", async () => {
    const { kubeconfig } = await cluster({
      "/api/v1/namespaces/istio-system": { metadata: { annotations: { "istio-lab/owner": OWNER } } },
      [ISTIODS]: { items: [{ metadata: { namespace: "istio-system", name: "istiod" } }] },
      "/api/v1/namespaces/istio-system/services/istio-ingressgateway": { metadata: {} },
    });
    await expectFaults(
      { kubeconfig, istio: { version: "1.31.0", manage: false } },
      /^istio\.manage is false, and .* installed by this stack, .*: let go of it first \(kubectl annotate namespace istio-system istio-lab\/owner-\), or set/,
    );
  });

  it.each([
    ["ConfigMap nginx-static-files", "/api/v1/namespaces/default/configmaps/nginx-static-files"],
    ["Service nginx-svc", "/api/v1/namespaces/default/services/nginx-svc"],
    ["Deployment nginx-v117", "/apis/apps/v1/namespaces/default/deployments/nginx-v117"],
    ["Gateway nginx-gateway", "/apis/networking.istio.io/v1/namespaces/default/gateways/nginx-gateway"],
    ["VirtualService nginx", "/apis/networking.istio.io/v1/namespaces/default/virtualservices/nginx"],
    ["DestinationRule nginx", "/apis/networking.istio.io/v1/namespaces/default/destinationrules/nginx"],
  ])("has a %s of somebody else", async (what, path) => {
    const name = path.split("/").at(-1);
    const theirs = await cluster({
      [path]: { metadata: { name, managedFields: [{ manager: "kubectl-create" }, CONTROLLER] } },
    });
    await expectFaults(
      { kubeconfig: theirs.kubeconfig },
      new RegExp(
        `^${what} in namespace default exists already and belongs to somebody else \\(made by kubectl-create\\): delete it, or set namespace to another one, or have it taken over \\(kubectl annotate .* istio-lab/owner=${OWNER}\\)$`,
      ),
    );
    const annotations = { "istio-lab/owner": "organization/istio-lab/prod" };
    const prods = await cluster({ [path]: { metadata: { name, annotations } } });
    await expectFaults(
      { kubeconfig: prods.kubeconfig },
      new RegExp(
        `^${what} in namespace default exists already and belongs to stack organization/istio-lab/prod:`,
      ),
    );
  });
});

it("has somebody else's Secret for the gateway, which matters where that serves https itself", async () => {
  const name = "nginx-gateway-tls-default";
  const { kubeconfig } = await cluster({
    [`/api/v1/namespaces/istio-system/secrets/${name}`]: {
      metadata: { name, managedFields: [{ manager: "cert-manager" }] },
    },
  });
  await readCluster({ ...ASK, kubeconfig });
  await expectFaults(
    { kubeconfig, gatewayTls: true },
    /^Secret nginx-gateway-tls-default in namespace istio-system exists already and belongs to somebody else \(made by cert-manager\): .*--namespace=istio-system Secret nginx-gateway-tls-default/,
  );
});

describe("a label of pods that changes under a name that stays", () => {
  const deployment = (version: string, owner = OWNER) => ({
    metadata: { name: "nginx-v117", annotations: { "istio-lab/owner": owner } },
    spec: { selector: { matchLabels: { app: "nginx", version } } },
  });

  it("is refused: a Deployment cannot change it without being away for a while", async () => {
    const { kubeconfig } = await cluster({ [DEPLOYMENTS]: { items: [deployment("1.17-old")] } });
    await expectFaults(
      { kubeconfig },
      /^versions\[1\]\.version is 1\.17, and the pods of Deployment nginx-v117 in namespace default have the label version=1\.17-old, .*: give 1\.17 a name of its own, .*kubectl delete --namespace=default deployment nginx-v117\)$/,
    );
  });

  it.each([
    ["is the same", deployment("1.17")],
    ["is somebody else's", deployment("1.17-old", "organization/istio-lab/prod")],
  ])("%s: no fault", async (_, theOne) => {
    const { kubeconfig } = await cluster({ [DEPLOYMENTS]: { items: [theOne] } });
    await readCluster({ ...ASK, kubeconfig });
  });
});

describe("the tools", () => {
  it("kubectl is missing", async () => {
    rmSync(join(root, "bin", "kubectl"));
    vi.stubEnv("PATH", join(root, "bin"));
    tool("istioctl", "echo client version: 1.31.2");
    await expectFaults(await asked(), /^kubectl is not on PATH; get it from https:/);
  });

  it("istioctl is missing", async () => {
    rmSync(join(root, "bin", "istioctl"));
    await expectFaults(
      await asked(),
      /^istioctl is not on PATH; get version 1\.31\.0: curl -L .* then add istio-1\.31\.0\/bin to PATH/,
    );
  });

  it("istioctl is not needed where Istio is somebody else's", async () => {
    rmSync(join(root, "bin", "istioctl"));
    const { kubeconfig } = await cluster({
      [ISTIODS]: { items: [{ metadata: { namespace: "istio-system", name: "istiod" } }] },
      "/api/v1/namespaces/istio-system/services/istio-ingressgateway": { metadata: {} },
    });
    await readCluster({ ...ASK, kubeconfig, istio: { version: "1.31.0", manage: false } });
  });

  it("istioctl is of another minor", async () => {
    tool("istioctl", "echo client version: 1.30.4");
    await expectFaults(
      await asked(),
      /^istioctl on PATH is version 1\.30\.4, and istio\.version is 1\.31\.0: set istio\.version/,
    );
  });
});

it("names everything that is wrong at once, one a line", async () => {
  tool("istioctl", "echo client version: 1.30.4");
  const { kubeconfig } = await cluster({
    "/version": { gitVersion: "v1.28.1" },
    [SERVICE]: { metadata: { name: "nginx-svc", managedFields: [{ manager: "helm" }] } },
  });
  await expectFaults(
    { kubeconfig, wantNodes: true },
    /^istioctl on PATH/,
    /supports Kubernetes 1\.32 and later/,
    /^nodes is empty/,
    /^Service nginx-svc .*made by helm/,
  );
});

const REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const ISTIODS = "/apis/apps/v1/deployments";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
const VIRTUAL_SERVICE = "/apis/networking.istio.io/v1/namespaces/default/virtualservices/nginx";
const DESTINATION_RULE = "/apis/networking.istio.io/v1/namespaces/default/destinationrules/nginx";
const SERVICE = "/api/v1/namespaces/default/services/nginx-svc";
const CONFIG_MAP = "/api/v1/namespaces/default/configmaps/nginx-static-files";

const CONTROLLER = { manager: "kube-controller-manager", subresource: "status" };

type Paths = Record<string, object | number>;

interface Behaviour {
  /** What a path that is not known answers. @default 404 */
  readonly otherwise?: number;
  /** True: no path is known but those given. @default false */
  readonly only?: boolean;
  /** Which reviews of access are refused. @default none */
  readonly refused?: (attributes: { verb: string; resource: string }) => boolean;
  /** The user of the kubeconfig. @default one with a token */
  readonly user?: object;
  /** True: nothing is answered. @default false */
  readonly silent?: boolean;
}

const READY: Paths = {
  "/version": { gitVersion: "v1.34.4" },
  "/api/v1/namespaces/kube-system": { metadata: { uid: "0b7c1e2f" } },
  "/api/v1/namespaces/default": { metadata: { name: "default" } },
};

/** Starts an API server that knows these paths, on loopback. */
async function cluster(
  paths: Paths = {},
  {
    otherwise = 404,
    only = false,
    refused = () => false,
    user = { token: "good" },
    silent = false,
  }: Behaviour = {},
) {
  const known: Paths = only ? paths : { ...READY, ...paths };
  const asked: string[] = [];
  const tokens: (string | undefined)[] = [];
  const server = createServer(async (request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    asked.push(`${request.method} ${path}`);
    if (silent) return;
    tokens.push(request.headers.authorization);
    const answer = path === REVIEWS && !only ? await review(request, refused) : (known[path] ?? otherwise);
    const status = typeof answer === "number" ? answer : 200;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(typeof answer === "number" ? { kind: "Status", message: "no" } : answer));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const kubeconfig = join(mkdtempSync(join(root, "cluster-")), "kubeconfig");
  const config = {
    "current-context": "lab",
    clusters: [{ name: "lab", cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: "me", user }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "me" } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return { kubeconfig, asked, tokens };
}

async function review(request: IncomingMessage, refused: NonNullable<Behaviour["refused"]>) {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { spec } = JSON.parse(Buffer.concat(chunks).toString()) as {
    spec: { resourceAttributes: { verb: string; resource: string } };
  };
  return { status: { allowed: !refused(spec.resourceAttributes) } };
}

async function asked(): Promise<Partial<ClusterArgs>> {
  const { kubeconfig } = await cluster();
  return { kubeconfig };
}

function tool(name: string, body: string): void {
  writeFileSync(join(root, "bin", name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

/** One RunError with exactly these faults, in this order. */
async function expectFaults(args: Partial<ClusterArgs>, ...faults: RegExp[]): Promise<void> {
  const error: unknown = await readCluster({ ...ASK, ...args }).catch((error: unknown) => error);
  expect(error).toMatchObject({ __pulumiRunError: true });
  const [heading, ...lines] = (error as Error).message.split("\n");
  expect(heading).toBe(
    `Nothing was touched, because of ${faults.length === 1 ? "1 fault" : `${faults.length} faults`}:`,
  );
  expect(lines.map((line) => line.trim())).toEqual(faults.map((fault) => expect.stringMatching(fault)));
}

function node(name: string, change: { spec?: object; conditions?: object[]; addresses?: object[] } = {}) {
  return {
    metadata: { name },
    spec: change.spec ?? {},
    status: {
      conditions: change.conditions ?? [{ type: "Ready", status: "True" }],
      addresses: change.addresses ?? [
        { type: "Hostname", address: name },
        { type: "InternalIP", address: `10.0.0.${name.slice(-1)}` },
      ],
    },
  };
}
