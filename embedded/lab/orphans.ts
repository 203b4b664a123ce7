/** Ends what a killed Pulumi left behind: plugins of a lab that have lost their engine, and what these started. */
import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { until } from "../../clients/process.ts";
import type { Instance } from "../instance.ts";
import { PLUGIN_NAMES, standIn } from "./pluginInstall.ts";
import { pulumiHome } from "./plugins.ts";

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Name of the executable. */
  readonly name: string;
}

/**
 * A plugin is a process whose command line names a plugin of Pulumi and whose PULUMI_HOME is the lab's. It is an
 * orphan when its parent is no Pulumi. What it started is below it, or in the process group that the engine gave it.
 *
 * @returns how many processes were ended
 */
export async function endOrphans(lab: Instance): Promise<number> {
  const all = await processes();
  const byPid = new Map(all.map((process) => [process.pid, process]));
  const doomed = new Set<number>();
  for (const process of all) {
    if (byPid.get(process.parent)?.name === "pulumi" || !(await isPluginOf(lab, process.pid))) continue;
    doomed.add(process.pid);
    for (const other of all) if (other.group === process.pid) doomed.add(other.pid);
  }
  // A child can have a lower number than its parent: go on until nothing is added.
  for (let size = -1; size !== doomed.size; ) {
    size = doomed.size;
    for (const { pid, parent } of all) if (doomed.has(parent)) doomed.add(pid);
  }
  for (const pid of doomed) kill(pid);
  await until("orphaned plugins to end", async () => {
    const left = await processes();
    return left.every(({ pid }) => !doomed.has(pid));
  });
  return doomed.size;
}

async function isPluginOf(lab: Instance, pid: number): Promise<boolean> {
  const [command, environment] = await Promise.all([
    readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
    readFile(`/proc/${pid}/environ`, "utf8").catch(() => ""),
  ]);
  const names = command
    .split("\0")
    .slice(0, 3)
    .some((word) =>
      PLUGIN_NAMES.some((name) => basename(word) === `pulumi-${name}` || word === standIn(name)),
    );
  return names && environment.split("\0").includes(`PULUMI_HOME=${pulumiHome(lab)}`);
}

/** All but zombies, which have ended already. */
async function processes(): Promise<Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid): Promise<Process[]> => {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      const match = /^\d+ \((.*)\) (\S) (\d+) (\d+)/s.exec(stat);
      if (match === null || match[2] === "Z") return [];
      return [{ pid: Number(pid), name: match[1] ?? "", parent: Number(match[3]), group: Number(match[4]) }];
    }),
  );
  return found.flat();
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended in the meantime.
  }
}
