import type { Instance, MachineSpec } from "../instance.ts";
import { run } from "../run.ts";
import { adminKubeconfig } from "./controlPlane.ts";
import { deadDaemons, powerOff, runningPid } from "./machine.ts";

/** Takes off the machines that lost a daemon, to be started again: machines do not repair themselves. */
export async function powerOffBroken(lab: Instance): Promise<MachineSpec[]> {
  const broken: MachineSpec[] = [];
  for (const machine of [lab.controlPlane, ...lab.workers]) {
    if ((await runningPid(machine)) && (await deadDaemons(machine)).length > 0) broken.push(machine);
  }
  await Promise.all(broken.map(powerOff));
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
