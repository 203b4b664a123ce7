/** Pulumi's plugins of a lab: versions of them in a cache, and those that run. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { quote } from "../../../clients/shell.ts";
import type { Instance } from "../../../embedded/host/instance.ts";
import { pulumiHome } from "../../../embedded/lab/pluginHome.ts";
import { standIn } from "../../../embedded/lab/pluginInstall.ts";
import { wantedVersion } from "../../../embedded/lab/pluginVersion.ts";

/**
 * A PULUMI_HOME whose cache has three versions of the provider of Kubernetes. Only the program's own serves;
 * each notes its start.
 */
export async function cacheOfVersions(directory: string) {
  const name = "resource-kubernetes";
  const log = join(directory, "started");
  for (const version of ["3.30.2", "4.9.0", wantedVersion(name)]) {
    const place = join(directory, "plugins", `${name}-v${version}`);
    await mkdir(place, { recursive: true });
    const serve = `exec ${quote(process.execPath)} --no-warnings ${quote(standIn(name))} "$@"`;
    const script = `#!/bin/sh\necho ${version} >>${quote(log)}\n${serve}\n`;
    await writeFile(join(place, `pulumi-${name}`), script, { mode: 0o755 });
  }
  const started = async () => [...new Set((await readFile(log, "utf8")).trim().split("\n"))];
  return { wanted: wantedVersion(name), started };
}

/** Command lines of the processes of a lab's Pulumi: engine, plugins, and what these have started. */
export async function processesOfPulumi(lab: Instance): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [environment, command] = await Promise.all(
        ["environ", "cmdline"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
      );
      const isOwn = environment?.split("\0").includes(`PULUMI_HOME=${pulumiHome(lab)}`);
      return isOwn && command ? [command.replaceAll("\0", " ").trim()] : [];
    }),
  );
  return found.flat();
}
