/**
 * Where Pulumi's engine finds plugins on this machine, and how the stand-ins of this directory get there.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readdirSync, readSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { quote } from "../../clients/shell.ts";

export type PluginName = "language-nodejs" | "resource-kubernetes" | "resource-command";

/** The plugins that the program needs, with the file that stands in for each. */
const STAND_INS: Record<PluginName, string> = {
  "language-nodejs": "../plugins/languageNodejs.ts",
  "resource-kubernetes": "../plugins/kubernetes/kubernetes.ts",
  "resource-command": "../plugins/command/command.ts",
};

export interface FoundPlugin {
  name: PluginName;
  /** The executable; undefined when there is none and the engine would have to download it. */
  path: string | undefined;
}

/**
 * Looks for official plugins where the engine looks: PATH first, then its cache, `$PULUMI_HOME/plugins` or `~/.pulumi/plugins`.
 * @param env PATH, PULUMI_HOME and HOME are read from it
 */
export function findPlugins(env: NodeJS.ProcessEnv = process.env): FoundPlugin[] {
  return (Object.keys(STAND_INS) as PluginName[]).map((name) => ({
    name,
    path: onPath(`pulumi-${name}`, env) ?? inCache(name, env),
  }));
}

/**
 * Writes an executable `pulumi-NAME` for each stand-in into a directory. The engine finds all of them when the
 * directory is on PATH, and then warns at every command that it uses a plugin from there. It does not warn about
 * the language plugin beside the `pulumi` executable itself, nor about resource plugins in its cache, which is one
 * directory for each version: `$PULUMI_HOME/plugins/resource-command-v1.2.1`.
 * @param directory made when it does not exist; existing wrappers are written anew
 * @param names all three by default
 * @param node the Node that runs them, by default the one that runs this
 */
export async function installPlugins(
  directory: string,
  names: PluginName[] = Object.keys(STAND_INS) as PluginName[],
  node: string = process.execPath,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Promise.all(
    names.map(async (name) => {
      const wrapper = join(directory, `pulumi-${name}`);
      await writeFile(wrapper, wrapperScript(node, name), { mode: 0o755 });
      await chmod(wrapper, 0o755);
    }),
  );
}

function wrapperScript(node: string, name: PluginName): string {
  const standIn = fileURLToPath(new URL(STAND_INS[name], import.meta.url));
  // Whatever a plugin writes after its port is shown to the user, Node's own warnings too.
  return `#!/bin/sh\n${STAND_IN_MARK}\nexec ${quote(node)} --no-warnings ${quote(standIn)} "$@"\n`;
}

/** By which a stand-in that is on PATH already is not taken for an official plugin. */
const STAND_IN_MARK = "# A stand-in of istio-lab.";

function isStandIn(path: string): boolean {
  const head = Buffer.alloc(64);
  const file = openSync(path, "r");
  try {
    readSync(file, head);
  } finally {
    closeSync(file);
  }
  return head.includes(STAND_IN_MARK);
}

function onPath(executable: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env.PATH ?? "")
    .split(delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, executable))
    .find(isOfficial);
}

/** The cache holds one directory a version: `resource-kubernetes-v4.34.2/pulumi-resource-kubernetes`. */
function inCache(name: PluginName, env: NodeJS.ProcessEnv): string | undefined {
  const plugins = join(env.PULUMI_HOME ?? join(env.HOME ?? homedir(), ".pulumi"), "plugins");
  if (!existsSync(plugins)) return undefined;
  return readdirSync(plugins)
    .filter((directory) => new RegExp(`^${name}-v\\d`).test(directory) && !directory.endsWith(".lock"))
    .map((directory) => join(plugins, directory, `pulumi-${name}`))
    .find(isOfficial);
}

function isOfficial(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return !isStandIn(path);
  } catch {
    return false;
  }
}
