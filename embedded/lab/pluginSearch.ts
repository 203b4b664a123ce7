/**
 * Finds official Pulumi plugins on this machine: on PATH, in Pulumi's caches, and where a lab last found
 * them.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readdirSync, readSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join, sep } from "node:path";
import { cacheHome, stateHome } from "../host/instance.ts";
import { PLUGIN_NAMES, type PluginName, STAND_IN_MARK } from "./pluginInstall.ts";
import { compareVersions, parseVersion, reportedVersion, serves, wantedVersion } from "./pluginVersion.ts";

export interface FoundPlugin {
  readonly name: PluginName;
  /** The executable, with links resolved; undefined when none is usable. */
  readonly path: string | undefined;
  /** Official plugins of an unusable version, in words for the user. */
  readonly unfit: readonly string[];
}

export interface Search {
  /** PATH, PULUMI_HOME, HOME and XDG_STATE_HOME are read from it. */
  readonly env?: NodeJS.ProcessEnv;
  /** Executables of the previous run; they are tried last. */
  readonly previous?: Partial<Record<PluginName, string>>;
}

/**
 * Looks for official plugins where the engine looks: PATH first, then the caches `$PULUMI_HOME/plugins` and
 * `~/.pulumi/plugins`, then the lab's downloads. Files below the state of a lab do not count: they are
 * wrappers, and go when that lab goes.
 */
export async function findPlugins({ env = process.env, previous = {} }: Search = {}): Promise<FoundPlugin[]> {
  const state = await resolved(stateHome(env));
  return await Promise.all(
    PLUGIN_NAMES.map(async (name) => {
      const unfit: string[] = [];
      for (const candidate of [
        ...onPath(name, env),
        ...inCaches(name, env),
        ...(previous[name] === undefined ? [] : [{ path: previous[name] }]),
      ]) {
        const path = await official(candidate.path, state);
        if (path === undefined) continue;
        const version = candidate.version ?? (await reportedVersion(name, path));
        if (version !== undefined && serves(version, wantedVersion(name))) return { name, path, unfit };
        unfit.push(`${path} is version ${version ?? "unknown: it reports none"}`);
      }
      return { name, path: undefined, unfit };
    }),
  );
}

interface Candidate {
  readonly path: string;
  /** The version is known without a start of the plugin. */
  readonly version?: string;
}

function onPath(name: PluginName, env: NodeJS.ProcessEnv): Candidate[] {
  return (env.PATH ?? "")
    .split(delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => ({ path: join(directory, `pulumi-${name}`) }));
}

/** A cache has one directory a version: `resource-kubernetes-v4.34.2/pulumi-resource-kubernetes`. */
function inCaches(name: PluginName, env: NodeJS.ProcessEnv): Candidate[] {
  const home = join(env.HOME ?? homedir(), ".pulumi");
  const downloads = join(cacheHome(env), "pulumi-home");
  return [...new Set([env.PULUMI_HOME || home, home, downloads])].flatMap((directory) =>
    cached(name, join(directory, "plugins")),
  );
}

/** The wanted version first, then the newest. */
function cached(name: PluginName, plugins: string): Candidate[] {
  if (!existsSync(plugins)) return [];
  const wanted = wantedVersion(name);
  return readdirSync(plugins)
    .filter((directory) => directory.startsWith(`${name}-v`))
    .map((directory) => ({
      path: join(plugins, directory, `pulumi-${name}`),
      version: directory.slice(`${name}-v`.length),
    }))
    .flatMap((candidate) => {
      const version = parseVersion(candidate.version);
      return version === undefined ? [] : [{ ...candidate, parsed: version }];
    })
    .sort(
      (a, b) =>
        Number(b.version === wanted) - Number(a.version === wanted) || compareVersions(b.parsed, a.parsed),
    );
}

/** The file behind a path, if it is executable, no stand-in and no lab's. */
async function official(path: string, state: string): Promise<string | undefined> {
  try {
    accessSync(path, constants.X_OK);
    const [file, directory] = [await realpath(path), await realpath(dirname(path))];
    const own = [file, directory].some((each) => `${each}${sep}`.startsWith(`${state}${sep}`));
    return own || isStandIn(file) ? undefined : file;
  } catch {
    return undefined;
  }
}

async function resolved(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}

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
