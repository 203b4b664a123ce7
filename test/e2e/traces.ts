import { readdir, readFile } from "node:fs/promises";
import { execa } from "execa";
import type { Instance } from "../../embedded/instance.ts";
import { stackFile } from "../../embedded/stack.ts";

/** Everything on the host that bears the mark of a lab: its names, addresses and directories. */
export async function tracesOf(lab: Instance): Promise<Record<string, string[]>> {
  const lines = async (command: string, ...args: string[]) =>
    (await execa(command, args, { reject: false })).stdout.split("\n").filter(Boolean);
  const links = [lab.bridge, ...lab.machines.map(({ link }) => link)];
  return {
    namespaces: (await lines("ip", "netns")).filter((line) => line.startsWith(`${lab.name}-`)),
    links: (await lines("ip", "-o", "link")).filter((line) => links.some((link) => line.includes(link))),
    routes: (await lines("ip", "route", "show", "table", "all")).filter((line) =>
      line.includes(`${lab.prefix}.`),
    ),
    mounts: (await lines("cat", "/proc/self/mounts")).filter((line) =>
      line.includes(`/run/netns/${lab.name}-`),
    ),
    cgroups: await lines("find", "/sys/fs/cgroup", "-maxdepth", "2", "-type", "d", "-name", lab.cgroup),
    processes: await processesOf(lab),
    files: [...(await readdir(lab.dir).catch(() => [])), ...(await lines("ls", stackFile(lab)))],
  };
}

/** Processes that run from the lab's directory, in its cgroups or with its addresses on the command line. */
async function processesOf(lab: Instance): Promise<string[]> {
  const marks = [`${lab.dir}/`, `${lab.cgroup}/`, `${lab.prefix}.`];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const processes = await Promise.all(
    pids.map(async (pid) => {
      const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
      const commandLine = (await read("cmdline")).replaceAll("\0", " ");
      return { commandLine, all: `${commandLine}${await read("cgroup")}${await read("mountinfo")}` };
    }),
  );
  return processes
    .filter(({ all }) => marks.some((mark) => all.includes(mark)))
    .map(({ commandLine }) => commandLine);
}
