/** Makes, enters and removes the cgroups of a lab's machines, in every hierarchy of the host, v1 or v2. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { LabError, until } from "../../clients/process.ts";
import { isUnified } from "../host/cgroupVersion.ts";

const ROOT = "/sys/fs/cgroup";

/** Controllers of cgroup v2 that the kubelet, runc or systemd-nspawn use. */
const CONTROLLERS = ["cpuset", "cpu", "io", "memory", "pids", "hugetlb"];

/** Mount points of the host's cgroup v1 controllers and of cgroup v2. */
export async function hierarchies(): Promise<string[]> {
  if (isUnified()) return [ROOT];
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  const points = mounts.filter(([, , type]) => type?.startsWith("cgroup")).map(([, point = ""]) => point);
  // Two controllers in one hierarchy, such as cpu and cpuacct, share a mount that bears both names.
  return [...new Set(points)];
}

/**
 * Makes the cgroup in every hierarchy, with all controllers.
 *
 * @throws LabError when the kernel refuses
 */
export async function makeCgroup(path: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const steps = path.split("/").map((_, i, all) => join(hierarchy, ...all.slice(0, i + 1)));
    for (const step of steps) {
      await mkdir(step, { recursive: true });
      await fillCpuset(step);
      await delegateTo(step);
    }
  }
}

/** Weight of a process of nice 0, and of a new cgroup, in cgroup v1 (kernel/sched/core.c). */
const ONE_PROCESS = 1024;
/** The largest weight that the kernel takes (kernel/sched/sched.h). */
const MOST_SHARES = 262_144;

/**
 * Makes the cgroup, and gives it a share of a busy host's processors as if each machine were a process on
 * each of them. In cgroup v1 a whole lab would else weigh as much as one process of the host, and would stand
 * still beside a build. In v2 the cgroup stands beside those of all users and services, and keeps its share.
 */
export async function makeLabCgroup(path: string, machines: number): Promise<void> {
  await makeCgroup(path);
  const shares = Math.min(ONE_PROCESS * machines * availableParallelism(), MOST_SHARES);
  for (const hierarchy of await hierarchies()) {
    const file = join(hierarchy, path, "cpu.shares");
    if (existsSync(file)) await write(file, `${shares}`);
  }
}

/**
 * Moves a process into the cgroup, in every hierarchy. Its later children start there.
 *
 * @throws LabError when the kernel refuses
 */
export async function enterCgroup(path: string, pid: number): Promise<void> {
  for (const hierarchy of await hierarchies()) await write(join(hierarchy, path, "cgroup.procs"), `${pid}`);
}

/** Ends the processes in the cgroup and below it, then removes it in every hierarchy. */
export async function removeCgroup(path: string): Promise<void> {
  const trees = (await hierarchies()).map((hierarchy) => join(hierarchy, path));
  const running = async () => (await Promise.all(trees.map(processesBelow))).flat();
  await until(`processes of cgroup ${path} to end`, async () => {
    const pids = await running();
    for (const pid of pids) kill(pid);
    return pids.length === 0;
  });
  for (const tree of trees) await removeTree(tree);
}

async function processesBelow(dir: string): Promise<number[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const below = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => processesBelow(join(dir, name)));
  const own = await readFile(join(dir, "cgroup.procs"), "utf8").catch(() => "");
  return [...own.split("\n").filter(Boolean).map(Number), ...(await Promise.all(below)).flat()];
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

/** A new cpuset of v1 is empty, and no process can enter an empty one. */
async function fillCpuset(dir: string): Promise<void> {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const target = join(dir, file);
    if (!existsSync(target) || existsSync(join(dir, "cgroup.controllers"))) continue;
    const own = (await readFile(target, "utf8")).trim();
    if (own === "") await write(target, await readFile(join(dirname(dir), file), "utf8"));
  }
}

/**
 * Has the parent pass its controllers on to this cgroup of v2. The cgroup itself passes none on: the kernel
 * would then allow no process in it.
 */
async function delegateTo(dir: string): Promise<void> {
  const control = join(dirname(dir), "cgroup.subtree_control");
  if (!existsSync(control)) return;
  const present = (await readFile(join(dirname(dir), "cgroup.controllers"), "utf8")).trim().split(" ");
  const wanted = CONTROLLERS.filter((controller) => present.includes(controller));
  if (wanted.length > 0) await write(control, wanted.map((controller) => `+${controller}`).join(" "));
}

/** A file of the cgroup file system is written as it is: not created, not truncated. */
async function write(file: string, content: string): Promise<void> {
  await writeFile(file, content, { flag: "r+" }).catch((error: NodeJS.ErrnoException) => {
    throw new LabError(
      `cgroups: the kernel refuses to write "${content.trim()}" to ${file}: ${error.code}. ` +
        "The lab's machines need cgroups of their own; a container gets them only when it is privileged.",
    );
  });
}

async function removeTree(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(dir, entry.name));
  await rmdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}
