import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { LabError, passThrough } from "../../clients/process.ts";
import type { Instance } from "../instance.ts";

/** Shows the last lines of the daemons' logs, as `tail` does. */
export async function logs(
  lab: Instance,
  { machine, daemon, follow, lines }: { machine?: string; daemon?: string; follow?: true; lines: string },
): Promise<void> {
  const names = lab.machines.map(({ name }) => name);
  if (machine && !names.includes(machine))
    throw new LabError(`no machine ${machine}; there are ${names.join(", ")}`, 2);
  if (!/^\d+$/.test(lines)) throw new LabError(`--lines "${lines}": give a whole number`, 2);
  const files: string[] = [];
  for (const { name, dir } of lab.machines.filter(({ name }) => !machine || name === machine)) {
    const all = (await readdir(join(dir, "log")).catch(() => [] as string[])).sort();
    const wanted = daemon ? all.filter((file) => file === `${daemon}.log`) : all;
    if (machine && wanted.length === 0) {
      throw new LabError(
        `no log of ${daemon} on ${name}; there are ${all.map((f) => f.replace(/\.log$/, "")).join(", ")}`,
        2,
      );
    }
    files.push(...wanted.map((file) => join(dir, "log", file)));
  }
  process.exitCode = await passThrough("tail", ["-n", lines, ...(follow ? ["-F"] : []), ...files]);
}
