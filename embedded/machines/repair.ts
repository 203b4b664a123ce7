/** Repairs a lab after a crash: machines that have to restart, and their pods. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import type { Instance, MachineSpec } from "../host/instance.ts";
import { deadDaemons } from "./daemons.ts";
import { powerOff, runningPid } from "./machine.ts";
import { unplug } from "./network.ts";
import { deploymentsAvailable } from "./readiness.ts";

/**
 * Powers off the machines that have to restart: those that ended with the host, and those with a dead daemon.
 * A machine does not repair itself.
 *
 * @returns those machines
 */
export async function powerOffBroken(lab: Instance): Promise<MachineSpec[]> {
  const broken: MachineSpec[] = [];
  for (const machine of [lab.controlPlane, ...lab.workers]) {
    const ranBefore = existsSync(join(machine.dir, "data"));
    const well = (await runningPid(machine)) && (await deadDaemons(machine)).length === 0;
    if (ranBefore && !well) broken.push(machine);
  }
  await Promise.all(broken.map(powerOff));
  // The namespace goes too: pods do not reach the API server over routes and rules of the previous boot.
  for (const machine of broken) await unplug(lab, machine);
  return broken;
}

/**
 * Deletes the pods of machines that were off, and resolves when every Deployment is Available again. The
 * kubelet would take minutes to notice their end, and report them Ready until then.
 */
export async function replacePods(
  lab: Instance,
  api: KubernetesApi,
  machines: readonly MachineSpec[],
): Promise<void> {
  if (machines.length === 0) return;
  for (const { name } of machines) {
    const { items } = await api.listMetadata("/api/v1/pods", { fieldSelector: `spec.nodeName=${name}` });
    await Promise.all(
      items.map(({ metadata: { namespace, name } }) =>
        api.delete(`/api/v1/namespaces/${namespace}/pods/${name}`, { gracePeriodSeconds: 0 }),
      ),
    );
  }
  await deploymentsAvailable(lab, api);
}
