import { existsSync } from "node:fs";
import { cp, link, mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { cacheHome, type Instance } from "../instance.ts";
import { findPlugins, installPlugins, type PluginName } from "./pluginInstall.ts";

/** Which plugin a lab's Pulumi uses, and whether it is the official one. */
export interface Plugin {
  readonly name: PluginName;
  readonly official: boolean;
  /** The executable that the engine starts. */
  readonly path: string;
}

/** Days until a download that failed is tried again. */
const RETRY_AFTER_DAYS = 1;

/** PULUMI_HOME of an instance: the engine finds there what {@link choosePlugins} chose. */
export function pulumiHome(lab: Instance): string {
  return join(lab.dir, "pulumi-home");
}

/**
 * Chooses the program's three plugins: from PATH and Pulumi's cache, else the official download, else the
 * project's stand-ins. Lays them out for the engine in the instance's PULUMI_HOME.
 *
 * @param pulumi the engine's executable; a language plugin counts only beside it or on PATH.
 */
export async function choosePlugins(
  lab: Instance,
  pulumi: string,
  note: (line: string) => void,
): Promise<Plugin[]> {
  const chosen: Plugin[] = [];
  // One that fails takes seconds, and they all come from the same place.
  let reachable = true;
  for (const { name, path } of findPlugins()) {
    const official: string | undefined = path ?? (reachable ? await download(name, pulumi, note) : undefined);
    reachable &&= official !== undefined || name === "language-nodejs";
    chosen.push({ name, official: official !== undefined, path: await layOut(lab, name, official, pulumi) });
  }
  await writeFile(join(pulumiHome(lab), "plugins.json"), JSON.stringify(chosen));
  return chosen;
}

/** Directory to put on PATH: the engine with the language plugin, which it does not look for in its cache. */
export function pluginPath(lab: Instance): string {
  return join(pulumiHome(lab), "bin");
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
      : join(pulumiHome(lab), "plugins", `${name}-v${versionOf(name)}`);
  const executable = join(directory, `pulumi-${name}`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  // The engine warns of a language plugin on PATH, but not of one beside its own executable.
  if (name === "language-nodejs")
    await link(pulumi, join(directory, "pulumi")).catch(() => cp(pulumi, join(directory, "pulumi")));
  if (official) await symlink(official, executable);
  else await installPlugins(directory, [name]);
  return executable;
}

/** Tries the official download of a provider once a day. The language plugin comes with Pulumi's own distribution only. */
async function download(
  name: PluginName,
  pulumi: string,
  note: (line: string) => void,
): Promise<string | undefined> {
  if (name === "language-nodejs") return undefined;
  const home = join(cacheHome(), "pulumi-home");
  const directory = join(home, "plugins", `${name}-v${versionOf(name)}`);
  const failed = join(home, `${name}-v${versionOf(name)}.unavailable`);
  const executable = join(directory, `pulumi-${name}`);
  if (existsSync(executable)) return executable;
  if (await isRecent(failed)) return undefined;
  note(`downloading Pulumi's plugin ${name} v${versionOf(name)}`);
  const provider = basename(name.replace("resource-", ""));
  const result = await execa(pulumi, ["plugin", "install", "resource", provider, versionOf(name)], {
    env: { PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" },
    reject: false,
    timeout: 120_000,
  });
  if (!result.failed) return executable;
  await mkdir(dirname(failed), { recursive: true });
  await writeFile(failed, result.stderr);
  note(`Pulumi's plugin ${name} cannot be downloaded here; its stand-in serves instead`);
  return undefined;
}

async function isRecent(file: string): Promise<boolean> {
  const made = await stat(file).then(
    (s) => s.mtimeMs,
    () => 0,
  );
  return Date.now() - made < RETRY_AFTER_DAYS * 24 * 3_600_000;
}

/** The version of the SDK is the one of the plugin that the engine asks for. */
function versionOf(name: PluginName): string {
  if (name === "language-nodejs") return "0";
  const require = createRequire(import.meta.url);
  return (require(`@pulumi/${name.replace("resource-", "")}/package.json`) as { version: string }).version;
}

/** What {@link choosePlugins} laid out last, or nothing when the lab was never up. */
export async function findInstalled(lab: Instance): Promise<Plugin[]> {
  const file = join(pulumiHome(lab), "plugins.json");
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as Plugin[]) : [];
}
