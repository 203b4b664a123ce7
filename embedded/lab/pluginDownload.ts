/**
 * Downloads official Pulumi plugins where they are reachable: verified, into the cache, one lab at a time.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { cacheHome } from "../host/instance.ts";
import { withLock } from "../host/lock.ts";
import { officialPlugin } from "../toolchain/official/official.ts";
import { officialOrigin } from "../toolchain/official/origin.ts";
import { Unavailable } from "../toolchain/official/source.ts";
import type { PluginName } from "./pluginInstall.ts";
import type { FoundPlugin } from "./pluginSearch.ts";
import { wantedVersion } from "./pluginVersion.ts";

/** What a download needs besides the plugin's name. */
export interface Download {
  /** The engine's executable. In Pulumi's distribution the language plugin is beside it. */
  readonly pulumi: string;
  readonly note: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
}

/** Returns the plugins; those that were found nowhere are downloaded, where that is possible. */
export async function withDownloads(
  found: readonly FoundPlugin[],
  download: Download,
): Promise<FoundPlugin[]> {
  const missing = found.some(({ path }) => path === undefined);
  if (!missing) return [...found];
  const waiting = () => download.note("waiting for another lab's download of Pulumi's plugins");
  return withLock(join(cacheHome(), ".plugins.lock"), waiting, async () => {
    const all: FoundPlugin[] = [];
    for (const plugin of found)
      all.push({ ...plugin, path: plugin.path ?? (await downloaded(plugin.name, download)) });
    return all;
  });
}

async function downloaded(name: PluginName, { pulumi, note, env }: Download): Promise<string | undefined> {
  if (name === "language-nodejs") {
    const beside = join(dirname(pulumi), `pulumi-${name}`);
    return existsSync(beside) ? beside : undefined;
  }
  const provider = name.replace("resource-", "");
  const version = wantedVersion(name);
  try {
    return await officialPlugin(await officialOrigin({ env }), { provider, version }, note);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    // The host answers, but does not have the file. The engine may know another place.
    if (error.scope === "file" && !env.LAB_MIRROR) return byEngine(name, version, { pulumi, note });
    note(`the stand-in of Pulumi's plugin ${name} is used: ${error.message}`);
    return undefined;
  }
}

/** Has the engine download a plugin, as it does for any user. The engine verifies the download. */
async function byEngine(
  name: PluginName,
  version: string,
  { pulumi, note }: Omit<Download, "env">,
): Promise<string | undefined> {
  const home = join(cacheHome(), "pulumi-home");
  const executable = join(home, "plugins", `${name}-v${version}`, `pulumi-${name}`);
  if (existsSync(executable)) return executable;
  note(`downloading Pulumi's plugin ${name} v${version}`);
  const args = ["plugin", "install", "resource", name.replace("resource-", ""), version];
  const result = await execa(pulumi, args, {
    env: { PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" },
    reject: false,
    timeout: 120_000,
  });
  return result.failed ? undefined : executable;
}
