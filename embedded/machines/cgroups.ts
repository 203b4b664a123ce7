import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { until } from "../../clients/process.ts";

const ROOT = "/sys/fs/cgroup";

/** Mount points of cgroup v1 controllers and of cgroup v2, whichever this host has. */
export async function hierarchies(): Promise<string[]> {
  if (existsSync(join(ROOT, "cgroup.controllers"))) return [ROOT];
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  const points = mounts.filter(([, , type]) => type?.startsWith("cgroup")).map(([, point = ""]) => point);
  // Sharing one hierarchy, cpu and cpuacct are mounted once under both names.
  return [...new Set(points)];
}

/** Makes the cgroup in every hierarchy, usable by a kubelet. */
export async function makeCgroup(path: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const dir = join(hierarchy, path);
    const steps = path.split("/").map((_, i, all) => join(hierarchy, ...all.slice(0, i + 1)));
    for (const step of steps) {
      await mkdir(step, { recursive: true });
      await inherit(step);
    }
    if (existsSync(join(dir, "cgroup.subtree_control"))) await delegate(dir);
  }
}

/** Ends what still runs in the cgroup, or below it, and removes it in every hierarchy. */
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

/** v1's cpuset starts empty, and a process cannot enter an empty one. */
async function inherit(dir: string): Promise<void> {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const target = join(dir, file);
    if (!existsSync(target) || existsSync(join(dir, "cgroup.controllers"))) continue;
    const own = (await readFile(target, "utf8")).trim();
    if (own === "") await writeFile(target, await readFile(join(dirname(dir), file), "utf8"));
  }
}

/** v2 hands controllers down one level at a time; one that the kernel lacks is left out. */
async function delegate(dir: string): Promise<void> {
  const chain: string[] = [];
  for (let at = dir; existsSync(join(at, "cgroup.subtree_control")); at = dirname(at)) chain.unshift(at);
  for (const at of chain) {
    for (const controller of ["cpuset", "cpu", "io", "memory", "pids", "hugetlb"]) {
      await writeFile(join(at, "cgroup.subtree_control"), `+${controller}`, { flag: "r+" }).catch(
        () => undefined,
      );
    }
  }
}

async function removeTree(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(dir, entry.name));
  await rmdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}
