import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isInterrupted, LabError } from "../../clients/process.ts";
import { runTasks } from "../host/progress.ts";
import { cacheHome, type Instance } from "../instance.ts";
import { stop } from "../lab/lab.ts";
import { endOrphans } from "../lab/orphans.ts";
import { pulumiOnTerminal, stackFile } from "../lab/stack.ts";
import { runningPid } from "../machines/machine.ts";

/** Destroys the stack, takes the machines off and removes everything of the lab from the host. */
export async function down(
  lab: Instance,
  { purge = false, fast = false, quiet }: { purge?: boolean; fast?: boolean; quiet: boolean },
): Promise<void> {
  const failed = fast ? undefined : await destroy(lab);
  if (isInterrupted()) throw new LabError("interrupted", 8);
  await runTasks(
    [
      { title: "plugins that a killed Pulumi left", task: () => endOrphans(lab) },
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

/** The machines go in any case, so a destroy that fails is told and not obeyed. */
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
