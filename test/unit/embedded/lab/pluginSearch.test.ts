/** Tests of embedded/lab/pluginSearch.ts. */
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { quote } from "../../../../clients/shell.ts";
import {
  installPlugin,
  PLUGIN_NAMES,
  type PluginName,
  standIn,
} from "../../../../embedded/lab/pluginInstall.ts";
import { findPlugins, type Search } from "../../../../embedded/lab/pluginSearch.ts";
import { wantedVersion } from "../../../../embedded/lab/pluginVersion.ts";

let root: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "search-"));
  env = {
    PATH: join(root, "bin"),
    HOME: join(root, "home"),
    XDG_STATE_HOME: join(root, "state"),
    XDG_CACHE_HOME: join(root, "cache"),
  };
});

const kubernetes = wantedVersion("resource-kubernetes");
const paths = async (search: Search = {}) =>
  Object.fromEntries((await findPlugins({ env, ...search })).map(({ name, path }) => [name, path]));

/**
 * An executable that serves as an official plugin does: this project's stand-in without its mark.
 */
function official(directory: string, name: PluginName): string {
  const file = join(root, directory, `pulumi-${name}`);
  mkdirSync(join(root, directory), { recursive: true });
  const script = `#!/bin/sh\nexec ${quote(process.execPath)} --no-warnings ${quote(standIn(name))} "$@"\n`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}

/** An executable that does nothing: in a cache, its directory's name has its version. */
function cached(version: string, home = "home/.pulumi"): string {
  const directory = join(root, home, "plugins", `resource-kubernetes-v${version}`);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "pulumi-resource-kubernetes");
  writeFileSync(file, "", { mode: 0o755 });
  return file;
}

test("where there are none, none is found", async () => {
  expect(await paths()).toEqual(Object.fromEntries(PLUGIN_NAMES.map((name) => [name, undefined])));
});

describe("on PATH", () => {
  test("a plugin that reports a version that serves is found", async () => {
    const command = official("bin", "resource-command");
    const language = official("bin", "language-nodejs");
    writeFileSync(join(root, "bin", "pulumi-resource-kubernetes"), "", { mode: 0o644 });
    expect(await paths()).toEqual({
      "language-nodejs": language,
      "resource-command": command,
      "resource-kubernetes": undefined,
    });
  });

  test("one of another version is named and left out; the next one is used", async () => {
    const old = official("old", "resource-command");
    writeFileSync(old, "#!/bin/sh\n", { mode: 0o755 });
    env.PATH = `${join(root, "old")}:${join(root, "bin")}`;
    expect(await findPlugins({ env })).toContainEqual({
      name: "resource-command",
      path: undefined,
      unfit: [`${old} is version unknown: it reports none`],
    });
    const next = official("bin", "resource-command");
    expect(await paths()).toMatchObject({ "resource-command": next });
  });

  test("a stand-in is not taken for an official plugin", async () => {
    for (const name of PLUGIN_NAMES) await installPlugin(join(root, "bin"), { name });
    expect(Object.values(await paths())).toEqual([undefined, undefined, undefined]);
  });
});

describe("in Pulumi's cache", () => {
  test("the wanted version comes first, also where others sort before it", async () => {
    for (const version of ["3.30.2", "4.9.0", "4.99.0"]) cached(version);
    const exact = cached(kubernetes);
    expect(await paths()).toMatchObject({ "resource-kubernetes": exact });
  });

  test("else the newest of the same major version that is not older", async () => {
    cached("4.98.0");
    const newest = cached("4.100.0");
    cached("5.0.0");
    expect(await paths()).toMatchObject({ "resource-kubernetes": newest });
  });

  test("one that is too old, or of another major version, is named and left out", async () => {
    const [old, other] = [cached("4.9.0"), cached("5.0.0")];
    const found = (await findPlugins({ env })).find(({ name }) => name === "resource-kubernetes");
    expect(found).toMatchObject({
      path: undefined,
      unfit: [`${other} is version 5.0.0`, `${old} is version 4.9.0`],
    });
  });

  test("one that is half-downloaded is not found", async () => {
    mkdirSync(join(root, "home/.pulumi/plugins", `resource-kubernetes-v${kubernetes}`), { recursive: true });
    writeFileSync(join(root, "home/.pulumi/plugins", `resource-kubernetes-v${kubernetes}.lock`), "");
    expect(await paths()).toMatchObject({ "resource-kubernetes": undefined });
  });
});

describe("in the shell of ./lab env", () => {
  test("the lab's own layout is left out, and the user's cache is found behind it", async () => {
    const user = cached(kubernetes);
    const home = join(root, "state/istio-lab/lab/pulumi-home");
    const layout = join(home, "plugins", `resource-kubernetes-v${kubernetes}`);
    mkdirSync(layout, { recursive: true });
    symlinkSync(user, join(layout, "pulumi-resource-kubernetes"));
    await installPlugin(join(home, "bin"), { name: "language-nodejs", official: "/bin/true" });
    env.PULUMI_HOME = home;
    env.PATH = join(home, "bin");
    expect(await paths()).toEqual({
      "language-nodejs": undefined,
      "resource-command": undefined,
      "resource-kubernetes": user,
    });
  });

  test("a link elsewhere that leads into a lab is left out too", async () => {
    const layout = join(root, "state/istio-lab/other/pulumi-home/bin");
    await installPlugin(layout, { name: "resource-command", official: "/bin/true" });
    mkdirSync(join(root, "bin"));
    symlinkSync(join(layout, "pulumi-resource-command"), join(root, "bin/pulumi-resource-command"));
    expect(await paths()).toMatchObject({ "resource-command": undefined });
  });

  test("a plugin that the lab used before is found, though the shell no longer leads to it", async () => {
    const before = official("once", "resource-command");
    expect(await paths({ previous: { "resource-command": before } })).toMatchObject({
      "resource-command": before,
    });
  });
});
