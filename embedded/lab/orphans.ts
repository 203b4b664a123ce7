/**
 * Ends the orphans of a killed Pulumi: a lab's plugins without an engine, and the processes that they
 * started.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { basename } from "node:path";
import { until } from "../../clients/process.ts";
import type { Instance } from "../host/instance.ts";
import { pulumiHome } from "./pluginHome.ts";
import { PLUGIN_NAMES, standIn } from "./pluginInstall.ts";
import { PROGRAM } from "./stack.ts";

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Name of the executable. */
  readonly name: string;
}

/**
 * A plugin is a process whose command line names a plugin of Pulumi and whose PULUMI_HOME is the lab's. It is
 * an orphan when its parent is no Pulumi. The processes that it started are its descendants, or are in the
 * process group that the engine gave it. When the plugin has ended, that group has no leader.
 *
 * @returns how many processes were ended
 */
export async function endOrphans(lab: Instance): Promise<number> {
  const all = await processes();
  const byPid = new Map(all.map((each) => [each.pid, each]));
  const ownGroup = byPid.get(process.pid)?.group;
  const doomed = new Set<number>();
  for (const { pid, parent, group } of all) {
    if (group === ownGroup || byPid.get(parent)?.name === "pulumi" || !(await belongsTo(lab, pid))) continue;
    const leaderless = !byPid.has(group) && (await directoryOf(pid)) === PROGRAM;
    if (!leaderless && !(await isPlugin(pid))) continue;
    doomed.add(pid);
    for (const other of all) if (other.group === pid) doomed.add(other.pid);
  }
  // A child's pid can be lower than its parent's, so the search goes on until it finds no more.
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

async function belongsTo(lab: Instance, pid: number): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
  return environment.split("\0").includes(`PULUMI_HOME=${pulumiHome(lab)}`);
}

async function isPlugin(pid: number): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return command
    .split("\0")
    .slice(0, 3)
    .some((word) =>
      PLUGIN_NAMES.some((name) => basename(word) === `pulumi-${name}` || word === standIn(name)),
    );
}

async function directoryOf(pid: number): Promise<string> {
  return await readlink(`/proc/${pid}/cwd`).catch(() => "");
}

/** Zombies have ended already, and do not count. */
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
    // The process has ended meanwhile.
  }
}
