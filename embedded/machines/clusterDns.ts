import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../clients/process.ts";
import { CLUSTER_DNS_IP, type Instance } from "../instance.ts";
import { adminKubeconfig } from "./controlPlane.ts";

/** Applies CoreDNS, of that image, to the cluster; the API server must be ready. */
export async function applyClusterDns(lab: Instance, kubectl: string, image: string): Promise<void> {
  const template = await readFile(join(import.meta.dirname, "coredns.yaml"), "utf8");
  const manifest = template.replaceAll("@IMAGE@", image).replaceAll("@CLUSTER_IP@", CLUSTER_DNS_IP);
  await run(kubectl, ["--kubeconfig", adminKubeconfig(lab), "apply", "--server-side", "-f", "-"], {
    input: manifest,
  });
}

/** Resolves when all workers are Ready and names resolve. */
export async function clusterReady(lab: Instance, kubectl: string): Promise<void> {
  const wait = (...args: string[]) =>
    run(kubectl, ["--kubeconfig", adminKubeconfig(lab), "wait", "--timeout=120s", ...args]);
  const nodes = lab.workers.map((worker) => `node/${worker.name}`);
  // One at a time: kubectl gives up at once where two of those it waits for are not there yet.
  await Promise.all(nodes.map((node) => wait("--for=create", node)));
  await wait("--for=condition=Ready", ...nodes);
  await wait("--for=condition=Available", "--namespace=kube-system", "deployment/coredns");
}
