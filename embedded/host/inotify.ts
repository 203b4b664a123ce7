/** Checks that the kernel gives root enough inotify instances for one more lab. */
import { existsSync } from "node:fs";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LabError } from "../../clients/process.ts";
import { isUnified } from "./cgroupVersion.ts";
import { findInstance, type Instance, isSaved } from "./instance.ts";

/**
 * What root's processes of one lab take beside its workers, at rest and at most: a few more while systemd
 * boots. On cgroup v1 these are systemd's 5, the controller manager's 5 and others. On v2 each container adds
 * one, with which its shim learns of an out-of-memory kill: 26 with the ten pods of the program.
 */
const V1 = { rest: 14, most: 28 };
const V2 = { rest: 40, most: 56 };

/** What a worker takes: its kubelet 6, containerd 1, kube-proxy 1. */
const WORKER = 8;

/** Figures of the host, for tests. */
interface Given {
  /** Instances that a user may have. @default the kernel's setting */
  readonly limit: number;
  /** Whether the host has cgroup v2. @default detected */
  readonly unified: boolean;
  /** Instances that root's processes outside labs use. @default counted */
  readonly used: number;
}

/**
 * Checks that one more lab can start. A lab that is up passes. Another lab that is still booting counts with
 * its highest figure.
 *
 * @throws LabError that says how to allow more instances
 */
export async function requireInotify(lab: Instance, given: Partial<Given> = {}): Promise<void> {
  if (existsSync(lab.dir)) return;
  const limit = given.limit ?? Number(await readFile("/proc/sys/fs/inotify/max_user_instances", "utf8"));
  const base = (given.unified ?? isUnified()) ? V2 : V1;
  const withWorkers = (count: number, { workers }: Instance) => count + WORKER * workers.length;
  const most = withWorkers(base.most, lab);
  const others = await labsBeside(lab);
  const counted = await instancesOfRoot(others);
  const used = given.used ?? counted.host;
  const taken = others.map((other, i) => {
    const count = counted.labs[i] ?? 0;
    return count < withWorkers(base.rest, other) ? withWorkers(base.most, other) : count;
  });
  const ofLabs = taken.reduce((sum, count) => sum + count, 0);
  if (used + ofLabs + most <= limit) return;
  const labs = others.length > 0 ? `, up to ${ofLabs} go to ${others.length} other labs` : "";
  throw new LabError(
    `fs.inotify.max_user_instances is ${limit}: root uses ${used}${labs}, ` +
      `and lab "${lab.name}" takes up to ${most}. ` +
      "Allow more: sysctl fs.inotify.max_user_instances=512; or take another lab down.",
  );
}

/** The other labs of this user that are up or being started: those with a subnet of their own. */
async function labsBeside(lab: Instance): Promise<Instance[]> {
  const state = dirname(lab.dir);
  const entries = await readdir(state, { withFileTypes: true }).catch(() => []);
  const others = entries.filter(({ name }) => name !== lab.name && isSaved(name, state));
  return Promise.all(others.map(({ name }) => findInstance(name, { state })));
}

/** Counts the instances of root's processes: in the network namespaces of each lab, and elsewhere. */
async function instancesOfRoot(labs: readonly Instance[]): Promise<{ host: number; labs: number[] }> {
  const namespaces = await Promise.all(
    labs.map(({ machines }) => Promise.all(machines.map(({ netns }) => inode(join("/run/netns", netns))))),
  );
  const counts = { host: 0, labs: labs.map(() => 0) };
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  await Promise.all(
    pids.map(async (pid) => {
      if (!(await isRoots(pid))) return;
      const count = await instancesOf(pid);
      if (count === 0) return;
      const namespace = await inode(join("/proc", pid, "ns/net"));
      const owner = namespaces.findIndex((own) => own.includes(namespace));
      if (owner < 0) counts.host += count;
      else counts.labs[owner] = (counts.labs[owner] ?? 0) + count;
    }),
  );
  return counts;
}

/** Identifies a namespace; -1 when it is gone. */
async function inode(file: string): Promise<number> {
  return stat(file).then(
    ({ ino }) => ino,
    () => -1,
  );
}

async function isRoots(pid: string): Promise<boolean> {
  const status = await readFile(join("/proc", pid, "status"), "utf8").catch(() => "");
  return /^Uid:\t0\t/m.test(status);
}

/** Zero for a process that has ended. */
async function instancesOf(pid: string): Promise<number> {
  const dir = join("/proc", pid, "fd");
  const fds = await readdir(dir).catch(() => []);
  const targets = await Promise.all(fds.map((fd) => readlink(join(dir, fd)).catch(() => "")));
  return targets.filter((target) => target === "anon_inode:inotify").length;
}
