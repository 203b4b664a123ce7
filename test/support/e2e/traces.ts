/** Finds what a lab leaves on the host, by its names and by comparison. */
import { readdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { execa } from "execa";
import type { Instance } from "../../../embedded/host/instance.ts";
import { PROGRAM, stackFile } from "../../../embedded/lab/stack.ts";
import { changes, type HostSettings, hostSettings, loaded } from "./hostSettings.ts";
import type { Sightings } from "./trial.ts";

/** The host before a test file makes anything. */
const before: HostSettings = await hostSettings();

/** Everything on the host that has a lab's names, addresses or directories in it. */
export async function tracesOf(lab: Instance): Promise<Record<string, string[]>> {
  const kinds = Object.entries(await lookAt(lab));
  return Object.fromEntries(kinds.map(([kind, { things, isOfLab }]) => [kind, things.filter(isOfLab)]));
}

/**
 * Checks what a lab that is down has left or changed on the host. Prints the number of checked things.
 *
 * @returns the leaks
 */
export async function leaksOnHost(lab: Instance, seen: Sightings): Promise<string[]> {
  const kinds = Object.entries(await lookAt(lab));
  const leaks = kinds.flatMap(([kind, { things, isOfLab }]) =>
    things.filter(isOfLab).map((thing) => `${kind}: ${thing.split("\n")[0]}`),
  );
  const now = await hostSettings();
  leaks.push(...changes(before, now));
  for (const kind of ["sysctls", "firewall", "units", "modules"] as const) {
    kinds.push([kind, { things: now[kind], isOfLab: () => false }]);
  }
  const total = kinds.reduce((sum, [, { things }]) => sum + things.length, 0);
  seen.lookedAt += total;
  seen.leaks.push(...leaks);
  const counts = kinds.map(([kind, { things }]) => `${things.length} ${kind}`).join(", ");
  const modules = loaded(before, now);
  if (modules.length > 0) console.log(`kernel modules loaded meanwhile: ${modules.join(", ")}`);
  console.log(`leak check of the host: ${leaks.length} leaks of lab ${lab.name} among ${total}: ${counts}`);
  return leaks;
}

/** Settings of the host that differ from those before the test file. */
export async function changedSettings(): Promise<string[]> {
  return changes(before, await hostSettings()).filter((line) => line.startsWith("setting"));
}

/** Things of one kind, a line each, and which of them are the lab's. */
interface Kind {
  readonly things: readonly string[];
  readonly isOfLab: (thing: string) => boolean;
}

async function lookAt(lab: Instance): Promise<Record<string, Kind>> {
  const lines = async (command: string, ...args: string[]) =>
    (await execa(command, args, { reject: false })).stdout.split("\n").filter(Boolean);
  const links = [lab.link, ...lab.machines.map(({ link }) => link)];
  const namespaces = [lab.switchNetns, ...lab.machines.map(({ netns }) => netns)];
  const files = [lab.dir, `${lab.dir}.lock`, stackFile(lab)];
  const marks = [`${lab.dir}/`, `${lab.cgroup}/`, `${lab.prefix}.`];
  const having = (words: readonly string[]) => (thing: string) => words.some((word) => thing.includes(word));
  return {
    namespaces: {
      things: await lines("ip", "netns"),
      isOfLab: (thing) => namespaces.includes(thing.split(" ")[0] ?? ""),
    },
    links: { things: await lines("ip", "-o", "link"), isOfLab: having(links) },
    routes: {
      things: await lines("ip", "route", "show", "table", "all"),
      isOfLab: having([`${lab.prefix}.`]),
    },
    mounts: {
      things: await lines("cat", "/proc/self/mounts"),
      isOfLab: having([...namespaces.map((name) => `/run/netns/${name} `), `${lab.dir}/`]),
    },
    cgroups: {
      things: await lines("find", "/sys/fs/cgroup", "-maxdepth", "2", "-type", "d"),
      isOfLab: (thing) => thing.endsWith(`/${lab.cgroup}`),
    },
    processes: { things: await processes(), isOfLab: having(marks) },
    files: {
      things: [...(await entries(dirname(lab.dir))), ...(await entries(PROGRAM))],
      isOfLab: (thing) => files.includes(thing),
    },
  };
}

/**
 * Each process except this one: its command line, cgroups and mounts. A zombie has neither memory nor mounts,
 * and can wait a while until process 1 reaps it.
 */
async function processes(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return Promise.all(
    pids.map(async (pid) => {
      const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
      if (/^State:\s+[ZX]/m.test(await read("status"))) return "";
      const commandLine = (await read("cmdline")).replaceAll("\0", " ");
      return `${commandLine}\n${await read("cgroup")}${await read("mountinfo")}`;
    }),
  );
}

async function entries(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).map((name) => `${directory}/${name}`);
}
