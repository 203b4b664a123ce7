/** Starts a machine as a process tree in namespaces and a cgroup of its own, finds it again, ends it. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../clients/process.ts";
import type { MachineSpec } from "../host/instance.ts";
import { patience } from "../host/patience.ts";
import { enterCgroup, makeCgroup, removeCgroup } from "./cgroups.ts";

const SCRIPTS = import.meta.dirname;

/** What a machine is booted from. */
export interface Boot {
  /** Root file system shared by machines, never written. */
  readonly root: string;
  /** Directory of binaries, /opt/lab/bin inside. */
  readonly bin: string;
  /** Script beside machine.sh that becomes process 1. */
  readonly init: string;
  /** Names below /var/lib whose content outlives the machine's process tree. */
  readonly data: readonly string[];
}

/** Makes the directories that machine.sh binds. New ones are empty. */
export async function prepare(machine: MachineSpec, boot: Boot): Promise<void> {
  await rm(join(machine.dir, "run"), { recursive: true, force: true });
  const dirs = ["etc", "log", "run", ...boot.data.map((name) => `data/${name}`)];
  await Promise.all(dirs.map((name) => mkdir(join(machine.dir, name), { recursive: true })));
  await rm(join(machine.dir, "bin"), { force: true });
  await symlink(boot.bin, join(machine.dir, "bin"));
}

/** Starts the process tree of a prepared machine in its namespaces. It outlives this process. */
export async function start(machine: MachineSpec, boot: Boot): Promise<void> {
  await spawnDetached(machine, [
    ...["nsenter", `--net=/run/netns/${machine.netns}`, "unshare", "--mount", "--pid", "--uts", "--ipc"],
    ...["--fork", "--kill-child", "--propagation", "private"],
    ...[join(SCRIPTS, "machine.sh"), boot.root, machine.dir, machine.name, boot.init],
  ]);
}

/**
 * Starts a machine's outermost process in the machine's own cgroup, and records its pid. Its console is
 * log/console.log. The machine outlives this process, and this process's session, service or scope.
 *
 * @throws LabError when the process cannot enter the cgroup
 */
export async function spawnDetached(machine: MachineSpec, command: readonly string[]): Promise<void> {
  // A crash can have left processes there. A kubelet would inspect every old pod's cgroup for seconds.
  await removeCgroup(machine.cgroup);
  const cgroup = `${machine.cgroup}/machine`;
  await makeCgroup(cgroup);
  await mkdir(join(machine.dir, "log"), { recursive: true });
  const console = openSync(join(machine.dir, "log", "console.log"), "a");
  // The shell waits for a line before it starts the command, so that every process of the command is in the
  // cgroup.
  const child = spawn("sh", ["-c", 'read -r _ && exec "$@" </dev/null', "sh", ...command], {
    detached: true,
    stdio: ["pipe", console, console],
  });
  closeSync(console);
  await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  const pid = child.pid ?? 0;
  try {
    await enterCgroup(cgroup, pid);
    await writeFile(pidFile(machine), `${pid} ${await startTime(pid)}\n`);
    await new Promise<void>((resolve) => child.stdin?.end("start\n", resolve));
  } finally {
    child.stdin?.destroy();
    child.unref();
  }
}

/**
 * The machine's outermost process, or undefined when the machine is off. The start time shows whether the pid
 * is now another process's.
 */
export async function runningPid(machine: MachineSpec): Promise<number | undefined> {
  const noted = await notedProcess(machine);
  return noted && (await runs(noted)) ? noted.pid : undefined;
}

/** Whether the machine was started, and its process tree has ended without {@link powerOff}. */
export async function hasEnded(machine: MachineSpec): Promise<boolean> {
  const noted = await notedProcess(machine);
  return noted !== undefined && !(await runs(noted));
}

/** The host's pid of the machine's process 1, or undefined. */
export async function initPid(machine: MachineSpec): Promise<number | undefined> {
  const outer = await runningPid(machine);
  return outer && (await firstChild(outer));
}

/** Ends the machine's process tree at once, as a power cut would. Its mounts and containers end with it. */
export async function powerOff(machine: MachineSpec): Promise<void> {
  const pid = await runningPid(machine);
  if (pid) {
    process.kill(pid, "SIGKILL");
    await until(`${machine.name} to end`, async () => (await processesIn(machine)).length === 0, {
      timeoutMs: patience(60) * 1000,
    });
  }
  await rm(pidFile(machine), { force: true });
  await rm(join(machine.dir, "run"), { recursive: true, force: true });
}

/** The host's pids of all processes in the machine's network namespace. */
export async function processesIn(machine: MachineSpec): Promise<number[]> {
  const { execa } = await import("execa");
  const { stdout } = await execa("ip", ["netns", "pids", machine.netns], { reject: false });
  return String(stdout ?? "")
    .split("\n")
    .filter(Boolean)
    .map(Number);
}

function pidFile(machine: MachineSpec): string {
  return join(machine.dir, "machine.pid");
}

interface NotedProcess {
  readonly pid: number;
  /** As {@link startTime} gives it. */
  readonly since: number;
}

/** Undefined where there is none, also while it is being written. */
async function notedProcess(machine: MachineSpec): Promise<NotedProcess | undefined> {
  const text = await readFile(pidFile(machine), "utf8").catch(() => "");
  const [pid, since] = text.trim().split(" ").map(Number);
  return pid && since ? { pid, since } : undefined;
}

const runs = async ({ pid, since }: NotedProcess) => (await startTime(pid)) === since;

/**
 * Start time of a process in clock ticks since boot; 0 when there is none. Pid and start time identify a
 * process.
 */
async function startTime(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? 0 : Number(fields[19] ?? 0);
}

async function firstChild(pid: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return Number(children.trim().split(" ")[0]) || undefined;
}
