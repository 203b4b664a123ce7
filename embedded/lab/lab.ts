/** The ordered list of steps that start a lab's machines, and the way to power them off. */
import { existsSync } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import type { ListrTask } from "listr2";
import { existing } from "../host/disk.ts";
import {
  cacheHome,
  type Instance,
  type MachineSpec,
  saveInstance,
  type WorkerSpec,
} from "../host/instance.ts";
import { makeLabCgroup, removeCgroup } from "../machines/cgroups.ts";
import { applyClusterDns } from "../machines/clusterDns.ts";
import { importImages } from "../machines/containerStore.ts";
import { controlPlaneReady, makePki, startControlPlane } from "../machines/controlPlane.ts";
import {
  loadBalancerReady,
  makeKeys,
  startLoadBalancer,
  stopLoadBalancer,
} from "../machines/loadBalancer.ts";
import { powerOff } from "../machines/machine.ts";
import { startNetwork, stopNetwork } from "../machines/network.ts";
import { dnsReady, nodesReady } from "../machines/readiness.ts";
import { powerOffBroken, replacePods } from "../machines/repair.ts";
import { startWorker } from "../machines/worker.ts";
import type { Toolchain } from "../toolchain/toolchain.ts";
import { makeHttpsCertificate } from "./certificate.ts";
import { imagesOf, noteMade } from "./made.ts";
import { connectToCluster } from "./stack.ts";

/**
 * Megabytes that the machines' disks need. On the cache's own file system they share the image layers with
 * it.
 */
export async function roomForMachines(lab: Instance): Promise<number> {
  if (existsSync(lab.dir)) return 200;
  const [state, cache] = await Promise.all(
    [lab.dir, cacheHome()].map(async (directory) => (await stat(existing(directory))).dev),
  );
  return state === cache ? 1000 : 3000;
}

/**
 * The steps that start the machines, in order. A step that was done before does nothing.
 *
 * @param options.meanwhile steps that need certificates and keys, but no machine; they run while the machines
 * start, @default none
 * @param options.dns false: the last step ends when pods can be created, and {@link clusterServes} is the
 * caller's to await, @default true
 */
export function startTasks(
  lab: Instance,
  tools: Toolchain,
  { meanwhile = [], dns = true }: { meanwhile?: readonly ListrTask[]; dns?: boolean } = {},
): ListrTask[] {
  let repaired: readonly MachineSpec[] = [];
  return [
    {
      title: `network ${lab.subnet}`,
      task: async () => {
        repaired = await powerOffBroken(lab);
        await startNetwork(lab);
        await mkdir(lab.dir, { recursive: true, mode: 0o700 });
        await saveInstance(lab);
        await noteMade(lab, tools);
        await makeLabCgroup(lab.cgroup, lab.machines.length);
      },
    },
    {
      title: "certificates and keys",
      task: () => Promise.all([makePki(lab), makeHttpsCertificate(lab), makeKeys(lab)]),
    },
    {
      title: "machines",
      task: (_, task) =>
        task.newListr(
          [
            {
              title: `${lab.controlPlane.name} ${lab.controlPlane.address}`,
              task: (_, task) =>
                startCluster(lab, tools, { repaired, dns }, (line) => {
                  task.output = line;
                }),
            },
            ...lab.workers.map((worker) => ({
              title: `${worker.name} ${worker.address}`,
              task: () => startNode(lab, worker, tools),
            })),
            {
              title: `${lab.loadBalancer.name} ${lab.loadBalancer.address}`,
              task: async () => {
                await startLoadBalancer(lab, tools.loadBalancerRoot);
                await loadBalancerReady(lab);
              },
            },
            ...meanwhile,
          ],
          { concurrent: true },
        ),
    },
  ];
}

/**
 * Starts the control plane, and waits until the cluster takes pods.
 *
 * @param options.repaired machines that were off, whose pods are replaced
 * @param options.dns whether to wait for the cluster's DNS too; where pods are replaced, it is awaited anyway
 * @param report receives what is waited for
 */
async function startCluster(
  lab: Instance,
  tools: Toolchain,
  { repaired, dns }: { readonly repaired: readonly MachineSpec[]; readonly dns: boolean },
  report: (line: string) => void,
): Promise<void> {
  report("waiting for the API server");
  await startControlPlane(lab, tools.nodeRoot, tools.kubernetes);
  await controlPlaneReady(lab);
  const api = await connectToCluster(lab);
  try {
    report("waiting for the nodes");
    await applyClusterDns(api, (await imagesOf(lab, tools)).coredns);
    await nodesReady(lab, api);
    if (!dns && repaired.length === 0) return;
    report("waiting for the cluster's DNS");
    await dnsReady(lab, api);
    await replacePods(lab, api, repaired);
  } finally {
    await api.close();
  }
}

/** Resolves when the cluster's names resolve. @throws LabError as {@link dnsReady} does */
export async function clusterServes(lab: Instance): Promise<void> {
  const api = await connectToCluster(lab);
  await dnsReady(lab, api).finally(() => api.close());
}

async function startNode(lab: Instance, worker: WorkerSpec, tools: Toolchain): Promise<void> {
  await startWorker(lab, worker, {
    root: tools.nodeRoot,
    bin: tools.kubernetes,
    imageStore: tools.imageStore,
    pause: (await imagesOf(lab, tools)).pause,
  });
  await importImages(worker, tools.archives);
}

/** Powers all machines off and removes everything of the lab from the host, remains of a broken lab too. */
export async function stop(lab: Instance): Promise<void> {
  await Promise.all([stopLoadBalancer(lab), ...[lab.controlPlane, ...lab.workers].map(powerOff)]);
  await stopNetwork(lab);
  await removeCgroup(lab.cgroup);
  await rm(lab.dir, { recursive: true, force: true });
}
