/** Tests of embedded/machines/readiness.ts. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type Instance, instance } from "../../../../embedded/host/instance.ts";
import { deploymentsAvailable, dnsReady, nodesReady } from "../../../../embedded/machines/readiness.ts";
import { apiOf } from "../../../support/clusterServer.ts";

let state: string;
let lab: Instance;
beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), "istio-lab-readiness-"));
  lab = instance("readiness-unit", { workers: 2, state });
});
afterEach(() => void vi.restoreAllMocks());
afterAll(() => rm(state, { recursive: true }));

const is = (type: string, status = "True") => ({ conditions: [{ type, status }] });
const ADDRESSES = [{ type: "InternalIP", address: "192.0.2.12" }];
const ready = (...names: string[]) => ({
  items: names.map((name) => ({ metadata: { name }, status: { ...is("Ready"), addresses: ADDRESSES } })),
});
const of = (kind: string) => ({ ownerReferences: [{ kind }] });
const NAMES = ["rancher-node02", "rancher-node03"];

/** Gives the answers in turn, and the last one from then on. */
function inTurn(...answers: object[]): () => object {
  return () => (answers.length > 1 ? answers.shift() : answers[0]) ?? {};
}

test("nodes: waits until each worker is there, Ready, and without a new node's taint", async () => {
  const [first = "", second = ""] = NAMES;
  const starts = {
    items: [...ready(first).items, { metadata: { name: second }, status: is("Ready", "False") }],
  };
  const taints = [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }];
  const tainted = { items: ready(first, second).items.map((node) => ({ ...node, spec: { taints } })) };
  const answer = inTurn(ready(), ready(first), starts, tainted, ready(first, second));
  const { api, requests } = await apiOf({
    get "/api/v1/nodes"() {
      return answer();
    },
  });
  await nodesReady(lab, api);
  expect(requests).toHaveLength(5);
});

test("nodes: the error names those that are late, and how to wait longer", async () => {
  const { api } = await apiOf({ "/api/v1/nodes": ready("rancher-node02") });
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (now += 100_000));
  await expect(nodesReady(lab, api)).rejects.toThrow(
    /^the nodes to be Ready: not after 120 s\nNot ready: rancher-node03\nEvery daemon runs\. .* ISTIO_LAB_PATIENCE=5/,
  );
});

test("nodes: a daemon that ends is the error, also while the API server refuses", async () => {
  const { api } = await apiOf({}, { otherwise: 500 });
  const run = join(lab.controlPlane.dir, "run");
  await mkdir(run, { recursive: true });
  const waiting = nodesReady(lab, api);
  await writeFile(join(run, "etcd.exit"), "1\n");
  await expect(waiting).rejects.toThrow(/^etcd on control-plane ended with exit code 1/);
  await rm(run, { recursive: true });
});

test("DNS: waits until its Deployment is Available", async () => {
  const answer = inTurn({ status: {} }, { status: is("Available", "False") }, { status: is("Available") });
  const { api, requests } = await apiOf({
    get "/apis/apps/v1/namespaces/kube-system/deployments/coredns"() {
      return answer();
    },
  });
  await dnsReady(lab, api);
  expect(requests).toHaveLength(3);
});

test("Deployments: a status that counts deleted pods is not believed", async () => {
  const metadata = { name: "nginx-v116", namespace: "default" };
  const deployments = inTurn(
    { items: [{ metadata, status: { ...is("Available"), availableReplicas: 2 } }] },
    { items: [{ metadata, status: { ...is("Available", "False"), availableReplicas: 1 } }] },
    { items: [{ metadata, status: { ...is("Available"), availableReplicas: 2 } }] },
  );
  const pod = (name: string, more = {}) => ({
    metadata: { name, ...of("ReplicaSet"), ...more },
    status: is("Ready"),
  });
  const pods = inTurn(
    {
      items: [
        pod("a"),
        pod("ending", { deletionTimestamp: "2026-11-26T00:00:00Z" }),
        pod("other", of("DaemonSet")),
      ],
    },
    { items: [pod("a")] },
    { items: [pod("a"), pod("b")] },
  );
  const { api, requests } = await apiOf({
    get "/apis/apps/v1/deployments"() {
      return deployments();
    },
    get "/api/v1/pods"() {
      return pods();
    },
  });
  await deploymentsAvailable(lab, api);
  expect(requests).toHaveLength(6);
});
