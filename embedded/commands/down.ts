/** `./lab down`: destroys the stack, powers the machines off, removes everything of the lab from the host. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { Command } from "commander";
import { isInterrupted, LabError } from "../../clients/process.ts";
import { cacheHome, type Instance } from "../host/instance.ts";
import { runTasks } from "../host/progress.ts";
import { stop } from "../lab/lab.ts";
import { endOrphans } from "../lab/orphans.ts";
import { pulumiOnTerminal, stackFile } from "../lab/stack.ts";
import { runningPid } from "../machines/machine.ts";
import type { Context } from "./context.ts";

interface Flags {
  readonly purge?: true;
  readonly fast?: true;
}

export function downCommand(context: Context): Command {
  return new Command("down")
    .description("pulumi destroy, machines off; nothing stays on the host but the cache")
    .option("--purge", "remove the cache of binaries, root file systems and images too")
    .option("--fast", "skip pulumi destroy: the cluster goes with the machines")
    .action((flags: Flags) => context.exclusively((lab) => down(lab, flags, context.quiet)));
}

async function down(lab: Instance, { purge, fast }: Flags, quiet: boolean): Promise<void> {
  const failed = fast ? undefined : await destroy(lab);
  if (isInterrupted()) throw new LabError("interrupted", 8);
  await runTasks(
    [
      { title: "plugins left by a killed Pulumi", task: () => endOrphans(lab) },
      { title: `machines of lab "${lab.name}" off, nothing left`, task: () => stop(lab) },
      { title: "settings of its stack", task: () => rm(stackFile(lab), { force: true }) },
      {
        title: `cache ${cacheHome()}`,
        skip: !purge,
        task: () => rm(cacheHome(), { recursive: true, force: true }),
      },
    ],
    { quiet },
  );
  if (failed) throw failed;
}

/** Returns the error of a failed destroy. The caller reports it, and removes the machines all the same. */
async function destroy(lab: Instance): Promise<LabError | undefined> {
  if (!existsSync(stackFile(lab)) || !(await runningPid(lab.controlPlane))) return undefined;
  try {
    await pulumiOnTerminal(lab, ["destroy", "--yes", "--skip-preview"]);
    return undefined;
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    return new LabError(
      `${error.message}; the machines are off all the same, and the cluster with them`,
      error.exitCode,
    );
  }
}
