/**
 * Writes the executables that Pulumi's engine starts as plugins: wrappers of the stand-ins or of official
 * plugins.
 */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { quote } from "../../clients/shell.ts";

export type PluginName = "language-nodejs" | "resource-kubernetes" | "resource-command";

/** The plugins that the program needs, with the file that stands in for each. */
const STAND_INS: Record<PluginName, string> = {
  "language-nodejs": "../plugins/languageNodejs.ts",
  "resource-kubernetes": "../plugins/kubernetes/kubernetes.ts",
  "resource-command": "../plugins/command/command.ts",
};

export const PLUGIN_NAMES = Object.keys(STAND_INS) as readonly PluginName[];

/** Marks the wrapper of a stand-in, which on PATH could be taken for an official plugin. */
export const STAND_IN_MARK = "# A stand-in of istio-lab.";

export interface Wrapped {
  readonly name: PluginName;
  /** The official plugin; without it the wrapper starts the stand-in. */
  readonly official?: string | undefined;
  /** Directory for the files that the plugin leaves; made at each start. By default the environment's. */
  readonly temporary?: string | undefined;
  /** The Node that runs a stand-in, by default the one that runs this. */
  readonly node?: string;
}

/**
 * Writes the executable `pulumi-NAME` into a directory and returns its path. The engine finds it when the
 * directory is on PATH, and then warns at every command that it uses a plugin from there. It does not warn
 * about the language plugin beside the `pulumi` executable itself, nor about resource plugins in its cache,
 * which is one directory for each version: `$PULUMI_HOME/plugins/resource-command-v1.2.1`.
 */
export async function installPlugin(directory: string, plugin: Wrapped): Promise<string> {
  await mkdir(directory, { recursive: true });
  const wrapper = join(directory, `pulumi-${plugin.name}`);
  await writeFile(wrapper, wrapperScript(plugin), { mode: 0o755 });
  await chmod(wrapper, 0o755);
  return wrapper;
}

/** The file of this project that stands in for a plugin. */
export function standIn(name: PluginName): string {
  return fileURLToPath(new URL(STAND_INS[name], import.meta.url));
}

function wrapperScript({ name, official, temporary, node = process.execPath }: Wrapped): string {
  const place =
    temporary === undefined ? "" : `export TMPDIR=${quote(temporary)}\nmkdir -p -m 700 "$TMPDIR"\n`;
  if (official !== undefined) return `#!/bin/sh\n${place}exec ${quote(official)} "$@"\n`;
  // The engine shows what a plugin prints after its port to the user, Node's warnings included.
  return (
    `#!/bin/sh\n${STAND_IN_MARK}\n${place}exec ${quote(node)} --no-warnings ${quote(standIn(name))} ` +
    '"$@"\n'
  );
}
