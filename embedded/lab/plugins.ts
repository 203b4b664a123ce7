/** Chooses the plugins of a lab's Pulumi: official ones where there are any, else the project's stand-ins. */
import { existsSync } from "node:fs";
import { cp, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LabError } from "../../clients/process.ts";
import type { Instance } from "../host/instance.ts";
import { withDownloads } from "./pluginDownload.ts";
import { pluginPath, pulumiHome } from "./pluginHome.ts";
import { installPlugin, PLUGIN_NAMES, type PluginName } from "./pluginInstall.ts";
import { type FoundPlugin, findPlugins } from "./pluginSearch.ts";
import { wantedVersion } from "./pluginVersion.ts";

/** One of the program's plugins, as laid out for a lab. */
export interface Plugin {
  readonly name: PluginName;
  readonly official: boolean;
  /** The executable that the engine starts. */
  readonly path: string;
  /** The official plugin behind it. */
  readonly source?: string;
  /** The official plugin of the previous run, where it is gone and a stand-in takes its place. */
  readonly lost?: string;
  /** Unusable official plugins, in words for the user. */
  readonly unfit?: readonly string[];
}

/**
 * `official`: a lab without all three official plugins is an error. `stand-ins`: official plugins are not
 * looked for.
 */
export const PLUGINS_VARIABLE = "ISTIO_LAB_PLUGINS";

/**
 * Chooses the program's three plugins: from PATH and Pulumi's caches, else the official download, else the
 * project's stand-ins. Lays them out for the engine in the instance's PULUMI_HOME.
 *
 * @param pulumi the engine's executable; a language plugin counts only beside it or on PATH.
 * @throws LabError when official plugins are required and one is missing
 */
export async function choosePlugins(
  lab: Instance,
  pulumi: string,
  note: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Plugin[]> {
  const wanted = env[PLUGINS_VARIABLE] ?? "";
  if (!["", "official", "stand-ins"].includes(wanted))
    throw new LabError(`${PLUGINS_VARIABLE} is ${wanted}: use official or stand-ins, or unset it`, 2);
  const previous = Object.fromEntries(
    (await findInstalled(lab)).flatMap(({ name, source, lost = source }) => (lost ? [[name, lost]] : [])),
  ) as Partial<Record<PluginName, string>>;
  const officials =
    wanted === "stand-ins"
      ? PLUGIN_NAMES.map((name): FoundPlugin => ({ name, path: undefined, unfit: [] }))
      : await withDownloads(await findPlugins({ env, previous }), { pulumi, note, env });
  if (wanted === "official") requireAll(officials);
  const chosen: Plugin[] = [];
  for (const { name, path, unfit } of officials) {
    const lost = path === undefined && wanted !== "stand-ins" ? previous[name] : undefined;
    chosen.push({
      name,
      official: path !== undefined,
      path: await layOut(lab, name, path, pulumi),
      ...(path === undefined ? {} : { source: path }),
      ...(lost === undefined ? {} : { lost }),
      ...(path === undefined && unfit.length > 0 ? { unfit } : {}),
    });
  }
  await writeFile(join(pulumiHome(lab), "plugins.json"), JSON.stringify(chosen));
  return chosen;
}

/** Warnings about the choice. They are printed with --quiet too. */
export function pluginWarnings(plugins: readonly Plugin[]): string[] {
  return plugins.flatMap(({ name, lost, unfit = [] }) => [
    ...(lost === undefined
      ? []
      : [
          `WARNING: Pulumi's plugin ${name} is now this project's STAND-IN: the official plugin that ` +
            "this lab used, " +
            `${lost}, is gone; put it back, or onto PATH, and run ./lab up again`,
        ]),
    ...(unfit.length === 0
      ? []
      : [
          `WARNING: Pulumi's plugin ${name} is this project's stand-in, as ${unfit.join(" and ")}; ` +
            `it has to be ${wantedVersion(name)} or a later one of the same major version`,
        ]),
  ]);
}

/** The plugins that {@link choosePlugins} laid out last; none when the lab was never up. */
export async function findInstalled(lab: Instance): Promise<Plugin[]> {
  const file = join(pulumiHome(lab), "plugins.json");
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as Plugin[]) : [];
}

/** @throws LabError where not all official plugins are on PATH or in a cache of Pulumi */
export async function requireOfficialPlugins(): Promise<void> {
  requireAll(await findPlugins());
}

function requireAll(plugins: readonly FoundPlugin[]): void {
  const missing = plugins.filter(({ path }) => path === undefined);
  if (missing.length === 0) return;
  const lines = missing.map(
    ({ name, unfit }) =>
      `pulumi-${name} ${wantedVersion(name)} or later${unfit.length > 0 ? ` (${unfit.join("; ")})` : ""}`,
  );
  throw new LabError(
    `official Pulumi plugins are required, and missing on PATH and in Pulumi's cache: ${lines.join(", ")}; ` +
      "install them with `pulumi plugin install`, the language plugin with Pulumi itself",
  );
}

async function layOut(
  lab: Instance,
  name: PluginName,
  official: string | undefined,
  pulumi: string,
): Promise<string> {
  const directory =
    name === "language-nodejs"
      ? pluginPath(lab)
      : join(pulumiHome(lab), "plugins", `${name}-v${wantedVersion(name)}`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  // The engine warns of a language plugin on PATH, but not of one beside its executable.
  if (name === "language-nodejs")
    await link(pulumi, join(directory, "pulumi")).catch(() => cp(pulumi, join(directory, "pulumi")));
  return await installPlugin(directory, { name, official, temporary: temporaryFiles(lab, name) });
}

/** At each start this provider writes a kubeconfig with the cluster's key, and does not remove it. */
function temporaryFiles(lab: Instance, name: PluginName): string | undefined {
  return name === "resource-kubernetes" ? join(lab.dir, "tmp") : undefined;
}
