import { existsSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { LabError } from "../../clients/process.ts";
import type { Instance } from "../instance.ts";

/** What root's daemons of one lab take, measured: 39 at rest (kubelets 18, systemd 5, controller manager 5), more while systemd boots. */
const INSTANCES = 52;

/**
 * Looks whether the kernel gives root enough inotify instances for the machines of a lab that is not up: systemd on the load
 * balancer does not boot without.
 *
 * @param limit instances that a user may have; the kernel's setting by default
 * @throws LabError that says how to have more
 */
export async function requireInotify(lab: Instance, limit?: number): Promise<void> {
  if (existsSync(lab.dir)) return;
  limit ??= Number(await readFile("/proc/sys/fs/inotify/max_user_instances", "utf8"));
  const used = await instancesOfRoot();
  if (used + INSTANCES <= limit) return;
  throw new LabError(
    `fs.inotify.max_user_instances is ${limit}, of which root uses ${used}, and another lab takes up to ${INSTANCES}: sysctl fs.inotify.max_user_instances=512, or take another lab down`,
  );
}

async function instancesOfRoot(): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const counts = await Promise.all(pids.map(async (pid) => ((await isRoots(pid)) ? instancesOf(pid) : 0)));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function isRoots(pid: string): Promise<boolean> {
  const status = await readFile(join("/proc", pid, "status"), "utf8").catch(() => "");
  return /^Uid:\t0\t/m.test(status);
}

/** A process that has ended meanwhile has none. */
async function instancesOf(pid: string): Promise<number> {
  const dir = join("/proc", pid, "fd");
  const fds = await readdir(dir).catch(() => []);
  const targets = await Promise.all(fds.map((fd) => readlink(join(dir, fd)).catch(() => "")));
  return targets.filter((target) => target === "anon_inode:inotify").length;
}
