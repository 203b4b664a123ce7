/**
 * Writes the executables that Pulumi's engine starts as plugins: wrappers of stand-ins or of official
 * plugins.
 */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { quote } from "../../clients/shell.ts";

export type PluginName = "language-nodejs" | "resource-kubernetes" | "resource-command";

/** The plugins that the program needs, each with the file of its stand-in. */
const STAND_INS: Record<PluginName, string> = {
  "language-nodejs": "../plugins/languageNodejs.ts",
  "resource-kubernetes": "../plugins/kubernetes/kubernetes.ts",
  "resource-command": "../plugins/command/command.ts",
};

export const PLUGIN_NAMES = Object.keys(STAND_INS) as readonly PluginName[];

/** Marks the wrapper of a stand-in, so that a search of PATH does not take it for an official plugin. */
export const STAND_IN_MARK = "# A stand-in of istio-lab.";

export interface Wrapped {
  readonly name: PluginName;
  /** The official plugin. Without it the wrapper starts the stand-in. */
  readonly official?: string | undefined;
  /** Directory for files that the plugin leaves. The wrapper makes it. @default the environment's */
  readonly temporary?: string | undefined;
  /** The Node that runs a stand-in. @default the Node of this process */
  readonly node?: string;
}

/**
 * Writes the executable `pulumi-NAME` into a directory and returns its path. The engine finds it on PATH, but
 * warns of such a plugin at every command. The engine does not warn of a language plugin beside the `pulumi`
 * executable, nor of a resource plugin in its cache. The cache has one directory a version:
 * `$PULUMI_HOME/plugins/resource-command-v1.2.1`.
 */
export async function installPlugin(directory: string, plugin: Wrapped): Promise<string> {
  await mkdir(directory, { recursive: true });
  const wrapper = join(directory, `pulumi-${plugin.name}`);
  await writeFile(wrapper, wrapperScript(plugin), { mode: 0o755 });
  await chmod(wrapper, 0o755);
  return wrapper;
}

/** The file of a plugin's stand-in. */
export function standIn(name: PluginName): string {
  return fileURLToPath(new URL(STAND_INS[name], import.meta.url));
}

function wrapperScript({ name, official, temporary, node = process.execPath }: Wrapped): string {
  const place =
    temporary === undefined ? "" : `export TMPDIR=${quote(temporary)}\nmkdir -p -m 700 "$TMPDIR"\n`;
  if (official !== undefined) return `#!/bin/sh\n${place}exec ${quote(official)} "$@"\n`;
  // After the port, the engine shows the user all that a plugin prints, also Node's warnings.
  return (
    `#!/bin/sh\n${STAND_IN_MARK}\n${place}exec ${quote(node)} --no-warnings ${quote(standIn(name))} ` +
    '"$@"\n'
  );
}
