/** `./lab logs`: the last lines of the daemons' logs, as `tail` shows them. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { LabError, passThrough } from "../../clients/process.ts";
import type { Instance } from "../host/instance.ts";
import type { Context } from "./context.ts";

interface Flags {
  readonly follow?: true;
  readonly lines: string;
}

export function logsCommand(context: Context): Command {
  return new Command("logs")
    .description("the logs of the machines' daemons")
    .argument("[machine]", "control-plane, rancher-node02 …, load-balancer; all by default")
    .argument("[daemon]", "kubelet, containerd, kube-apiserver, etcd …")
    .option("-f, --follow", "go on as they grow")
    .option("-n, --lines <number>", "last lines of each", "20")
    .action(async (machine: string | undefined, daemon: string | undefined, { follow, lines }: Flags) => {
      if (!/^\d+$/.test(lines)) throw new LabError(`--lines "${lines}": give a whole number`, 2);
      const files = await logFiles(await context.running(), machine, daemon);
      process.exitCode = await passThrough("tail", ["-n", lines, ...(follow ? ["-F"] : []), ...files]);
    });
}

/** @throws LabError where the machine or the log does not exist; it names those that do */
async function logFiles(lab: Instance, machine?: string, daemon?: string): Promise<string[]> {
  const names = lab.machines.map(({ name }) => name);
  if (machine && !names.includes(machine))
    throw new LabError(`no machine ${machine}; there are ${names.join(", ")}`, 2);
  const files: string[] = [];
  for (const { name, dir } of lab.machines.filter(({ name }) => !machine || name === machine)) {
    const all = (await readdir(join(dir, "log")).catch(() => [] as string[])).sort();
    const wanted = daemon ? all.filter((file) => file === `${daemon}.log`) : all;
    if (machine && wanted.length === 0) {
      const daemons = all.map((file) => file.replace(/\.log$/, "")).join(", ");
      throw new LabError(`no log of ${daemon} on ${name}; there are ${daemons}`, 2);
    }
    files.push(...wanted.map((file) => join(dir, "log", file)));
  }
  return files;
}
