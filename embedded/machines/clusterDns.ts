/** Applies the cluster's DNS, and waits for the end of a start: nodes are Ready, names resolve. */
import { readFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { LabError, run } from "../../clients/process.ts";
import { CLUSTER_DNS_IP, type Instance } from "../host/instance.ts";
import { patience, VARIABLE } from "../host/patience.ts";
import { adminKubeconfig } from "./controlPlane.ts";
import { whileDaemonsRun } from "./daemons.ts";

/** Applies CoreDNS, with that image, to the cluster. The API server must be ready. */
export async function applyClusterDns(lab: Instance, kubectl: string, image: string): Promise<void> {
  const template = await readFile(join(import.meta.dirname, "coredns.yaml"), "utf8");
  const manifest = template.replaceAll("@IMAGE@", image).replaceAll("@CLUSTER_IP@", CLUSTER_DNS_IP);
  await run(kubectl, ["--kubeconfig", adminKubeconfig(lab), "apply", "--server-side", "-f", "-"], {
    input: manifest,
  });
}

/**
 * Resolves when all workers are Ready.
 *
 * @throws LabError that names the daemon that has ended, or what is not ready in time and how to wait longer
 */
export async function nodesReady(lab: Instance, kubectl: string): Promise<void> {
  const nodes = lab.workers.map((worker) => `node/${worker.name}`);
  await waiting(lab, kubectl, async (wait) => {
    // One node at a time, because kubectl fails at once when it waits for two nodes that do not exist yet.
    await Promise.all(nodes.map((node) => wait("--for=create", node)));
    await wait("--for=condition=Ready", ...nodes);
  });
}

/**
 * Resolves when names resolve.
 *
 * @throws LabError as {@link nodesReady} does
 */
export async function dnsReady(lab: Instance, kubectl: string): Promise<void> {
  await waiting(lab, kubectl, (wait) =>
    wait("--for=condition=Available", "--namespace=kube-system", "deployment/coredns"),
  );
}

/** Runs a `kubectl wait` while the cluster's daemons run. */
async function waiting(
  lab: Instance,
  kubectl: string,
  work: (wait: (...args: string[]) => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  await whileDaemonsRun([lab.controlPlane, ...lab.workers], (cancelSignal) =>
    work((...args) => {
      const timeout = `--timeout=${patience(120)}s`;
      return run(kubectl, ["--kubeconfig", adminKubeconfig(lab), "wait", timeout, ...args], {
        cancelSignal,
      }).catch((error) => {
        throw error instanceof LabError ? new LabError(`${error.message}\n${onSlowHost()}`) : error;
      });
    }),
  );
}

function onSlowHost(): string {
  const load = loadavg()[0]?.toFixed(1);
  return (
    `Every daemon runs. The host's load is ${load} on ${availableParallelism()} processors: ` +
    `./lab up goes on from here, and ${VARIABLE}=5 waits five times as long.`
  );
}
