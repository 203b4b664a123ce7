import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../clients/process.ts";
import type { Instance, MachineSpec } from "../instance.ts";
import { adminKubeconfig } from "./controlPlane.ts";
import { deadDaemons, powerOff, runningPid } from "./machine.ts";
import { unplug } from "./network.ts";

/**
 * Finds the machines that have to be started again: those that a crash of the host took along, and those that lost a
 * daemon, which it takes off: machines do not repair themselves.
 */
export async function powerOffBroken(lab: Instance): Promise<MachineSpec[]> {
  const broken: MachineSpec[] = [];
  for (const machine of [lab.controlPlane, ...lab.workers]) {
    const ranBefore = existsSync(join(machine.dir, "data"));
    const well = (await runningPid(machine)) && (await deadDaemons(machine)).length === 0;
    if (ranBefore && !well) broken.push(machine);
  }
  await Promise.all(broken.map(powerOff));
  // What a kernel forgets at a power cut: pods do not reach the API server through what is left of the bridge before.
  for (const machine of broken) await unplug(lab, machine);
  return broken;
}

/**
 * Has the pods of machines that were off made anew, and resolves when every Deployment is whole again. Their kubelet
 * would find them dead only by and by, and they would be called Ready until then.
 */
export async function replacePods(
  lab: Instance,
  kubectl: string,
  machines: readonly MachineSpec[],
): Promise<void> {
  if (machines.length === 0) return;
  const ask = (...args: string[]) =>
    run(kubectl, ["--kubeconfig", adminKubeconfig(lab), ...args, "--all-namespaces"]);
  for (const { name } of machines) {
    await ask(
      "delete",
      "pods",
      `--field-selector=spec.nodeName=${name}`,
      "--force",
      "--grace-period=0",
      "--wait=false",
    );
  }
  await ask("wait", "--for=condition=Available", "deployments", "--all", "--timeout=180s");
}
