/** Tests of embedded/lab/plugins.ts. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Instance, instance } from "../../../../embedded/host/instance.ts";
import { pulumiHome } from "../../../../embedded/lab/pluginHome.ts";
import { choosePlugins, findInstalled, pluginWarnings } from "../../../../embedded/lab/plugins.ts";
import { wantedVersion } from "../../../../embedded/lab/pluginVersion.ts";

const version = wantedVersion("resource-kubernetes");
let root: string;
let lab: Instance;
let env: NodeJS.ProcessEnv;
let pulumi: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "choose-"));
  env = {
    PATH: "/nonexistent",
    HOME: join(root, "home"),
    XDG_STATE_HOME: join(root, "state"),
    XDG_CACHE_HOME: join(root, "cache"),
    // An empty mirror: no test uses the network.
    LAB_MIRROR: root,
  };
  for (const [name, value] of Object.entries(env))
    vi.stubEnv(name, name === "PATH" ? process.env.PATH : value);
  lab = instance("x", { state: join(root, "state", "istio-lab") });
  pulumi = join(root, "pulumi");
  writeFileSync(pulumi, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
});
afterEach(() => vi.unstubAllEnvs());

const choose = (more: NodeJS.ProcessEnv = {}) => choosePlugins(lab, pulumi, () => {}, { ...env, ...more });

/** In the user's cache, an executable that prints where it lies and its TMPDIR. */
function official(): string {
  const directory = join(root, "home/.pulumi/plugins", `resource-kubernetes-v${version}`);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "pulumi-resource-kubernetes");
  writeFileSync(file, '#!/bin/sh\necho "$0 $TMPDIR"\n', { mode: 0o755 });
  return file;
}

test("an official plugin is started from where it lies, and leaves its files below the lab's directory", async () => {
  const source = official();
  const plugins = await choose();
  const path = join(
    pulumiHome(lab),
    "plugins",
    `resource-kubernetes-v${version}`,
    "pulumi-resource-kubernetes",
  );
  expect(plugins).toContainEqual({ name: "resource-kubernetes", official: true, path, source });
  expect(plugins.filter((plugin) => plugin.official)).toHaveLength(1);
  expect(spawnSync(path, { encoding: "utf8" }).stdout).toBe(`${source} ${join(lab.dir, "tmp")}\n`);
  expect(await findInstalled(lab)).toEqual(plugins);
  expect(pluginWarnings(plugins)).toEqual([]);
});

test("chosen again in the shell of ./lab env, the official plugin stays", async () => {
  const source = official();
  await choose();
  const home = pulumiHome(lab);
  const plugins = await choose({ PULUMI_HOME: home, PATH: join(home, "bin") });
  const chosen = plugins.find(({ name }) => name === "resource-kubernetes");
  expect(chosen).toMatchObject({ official: true, source });
  expect(spawnSync(chosen?.path ?? "", { encoding: "utf8" }).stdout).toContain(source);
});

test("a stand-in in an official plugin's place is reported for as long as it is so", async () => {
  const source = official();
  await choose();
  rmSync(source);
  for (const _ of ["at the change", "and later"]) {
    expect(pluginWarnings(await choose())).toEqual([
      expect.stringMatching(
        new RegExp(`^WARNING: Pulumi's plugin resource-kubernetes is now .* STAND-IN: .*${source}, is gone;`),
      ),
    ]);
  }
  official();
  expect(pluginWarnings(await choose())).toEqual([]);
});

test("an official plugin that is too old is reported with its version and the wanted one", async () => {
  const file = official().replace(version, "4.9.0");
  mkdirSync(join(file, ".."));
  writeFileSync(file, "", { mode: 0o755 });
  rmSync(official());
  const [warning] = pluginWarnings(await choose());
  expect(warning).toContain(`${file} is version 4.9.0; it has to be ${version} or a later one`);
});

test("stand-ins on demand, also beside official plugins", async () => {
  official();
  const plugins = await choose({ ISTIO_LAB_PLUGINS: "stand-ins" });
  expect(plugins.filter((plugin) => plugin.official)).toEqual([]);
  expect(pluginWarnings(plugins)).toEqual([]);
});

test("official plugins on demand: those that are missing are named, all at once", async () => {
  official();
  await expect(choose({ ISTIO_LAB_PLUGINS: "official" })).rejects.toThrow(
    /required, and missing.*: pulumi-language-nodejs 3\.0\.0 or later, pulumi-resource-command .* or later; install/,
  );
  await expect(choose({ ISTIO_LAB_PLUGINS: "mine" })).rejects.toThrow(/ISTIO_LAB_PLUGINS is mine/);
});
