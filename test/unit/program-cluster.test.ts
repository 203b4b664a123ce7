import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { readCluster } from "../../cluster.ts";

const servers: Server[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

const node = (name: string, change: { spec?: object; conditions?: object[]; addresses?: object[] } = {}) => ({
  metadata: { name },
  spec: change.spec ?? {},
  status: {
    conditions: change.conditions ?? [{ type: "Ready", status: "True" }],
    addresses: change.addresses ?? [
      { type: "Hostname", address: name },
      { type: "InternalIP", address: `10.0.0.${name.slice(-1)}` },
    ],
  },
});

const PATHS: Record<string, object> = {
  "/api/v1/namespaces/kube-system": { metadata: { uid: "0b7c1e2f" } },
  "/api/v1/namespaces/default": { metadata: { uid: "1" } },
};

describe("readCluster", () => {
  it("reads the cluster's identity and its usable nodes, by name", async () => {
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
    const kubeconfig = await cluster({ ...PATHS, "/api/v1/nodes": { items } });
    expect(await readCluster({ ...ASK, kubeconfig, wantNodes: true })).toEqual({
      id: "0b7c1e2f",
      nodes: [
        { name: "node2", address: "10.0.0.2" },
        { name: "node3", address: "10.0.0.3" },
        { name: "reluctant7", address: "10.0.0.7" },
      ],
    });
  });

  it("does not ask for nodes that are given", async () => {
    const kubeconfig = await cluster(PATHS);
    expect(await readCluster({ ...ASK, kubeconfig })).toEqual({ id: "0b7c1e2f", nodes: [] });
  });

  it("says that no node is usable", async () => {
    const kubeconfig = await cluster({
      ...PATHS,
      "/api/v1/nodes": { items: [node("n1", { addresses: [] })] },
    });
    await expectFault(
      { ...ASK, kubeconfig, wantNodes: true },
      /^nodes is empty, and none of the 1 nodes of cluster http:.* is ready/,
    );
  });

  it("names a kubeconfig that is not there", async () => {
    await expectFault(
      { ...ASK, kubeconfig: "/no/such/file" },
      /^kubeconfig \/no\/such\/file cannot be read: .*ENOENT/,
    );
  });

  it("says where a kubeconfig is looked for when there is none", async () => {
    vi.stubEnv("KUBECONFIG", undefined);
    vi.stubEnv("HOME", tmpdir());
    await expectFault(
      ASK,
      /^there is no kubeconfig: neither KUBECONFIG nor ~\/\.kube\/config; set kubeconfig/,
    );
  });

  it("names the contexts that there are", async () => {
    const kubeconfig = await cluster(PATHS);
    await expectFault(
      { ...ASK, kubeconfig, context: "prod" },
      /has no usable context prod; it has: lab; set context/,
    );
  });

  it("names a server that does not answer", async () => {
    const kubeconfig = await cluster(PATHS);
    for (const server of servers.splice(0)) server.close().closeAllConnections();
    await expectFault(
      { ...ASK, kubeconfig },
      /^get namespace \S+: cluster http:\S+ \(kubeconfig .*, context lab\) does not answer: .*ECONNREFUSED/,
    );
  });

  it("names a namespace that does not exist", async () => {
    const kubeconfig = await cluster(PATHS);
    await expectFault(
      { ...ASK, kubeconfig, namespace: "shop" },
      /^get namespace shop: .* has no such namespace; create it/,
    );
  });

  it.each([
    [401, /does not know this user/],
    [403, /does not allow this user to get namespace/],
    [500, /does not answer/],
  ])("tells what HTTP %i means", async (status, message) => {
    await expectFault({ ...ASK, kubeconfig: await cluster({}, status) }, message);
  });
});

const ASK = { kubeconfig: "", context: "", namespace: "default", wantNodes: false };

/** Starts an API server that knows these paths, on loopback; returns the path of its kubeconfig. */
async function cluster(paths: Record<string, object>, otherwise = 404): Promise<string> {
  const server = createServer((request, response) => {
    const body = paths[request.url?.split("?")[0] ?? ""];
    response.writeHead(body ? 200 : otherwise, { "content-type": "application/json" });
    response.end(JSON.stringify(body ?? { kind: "Status", code: otherwise }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const path = join(mkdtempSync(join(tmpdir(), "istio-lab-")), "kubeconfig");
  const config = {
    "current-context": "lab",
    clusters: [
      { name: "lab", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } },
    ],
    users: [{ name: "me", user: {} }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "me" } }],
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

async function expectFault(args: Parameters<typeof readCluster>[0], message: RegExp): Promise<void> {
  await expect(readCluster(args)).rejects.toThrow(
    expect.objectContaining({ __pulumiRunError: true, message: expect.stringMatching(message) }),
  );
}
