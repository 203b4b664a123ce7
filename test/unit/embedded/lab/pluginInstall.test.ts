import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { findPlugins, installPlugins } from "../../../../embedded/lab/pluginInstall.ts";

let directory: string;
let home: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plugins it's-"));
  home = mkdtempSync(join(tmpdir(), "home-"));
});

const paths = (env: NodeJS.ProcessEnv) =>
  Object.fromEntries(findPlugins(env).map(({ name, path }) => [name, path]));

describe("plugins", () => {
  test("that are nowhere are missing", () => {
    expect(paths({ PATH: directory, HOME: home })).toEqual({
      "language-nodejs": undefined,
      "resource-kubernetes": undefined,
      "resource-command": undefined,
    });
  });

  test("on PATH are found", () => {
    const plugin = join(directory, "pulumi-resource-command");
    writeFileSync(plugin, "", { mode: 0o755 });
    writeFileSync(join(directory, "pulumi-resource-kubernetes"), "", { mode: 0o644 });
    expect(paths({ PATH: `/no/such:${directory}`, HOME: home })).toMatchObject({
      "resource-command": plugin,
      "resource-kubernetes": undefined,
    });
  });

  test("of this project's own are not taken for official ones", async () => {
    await installPlugins(directory);
    expect(Object.values(paths({ PATH: directory, HOME: home }))).toEqual([undefined, undefined, undefined]);
  });

  test("in the user's own cache are found too, half-downloaded ones are not", () => {
    const cache = join(home, ".pulumi", "plugins");
    const plugin = join(cache, "resource-kubernetes-v4.0.0", "pulumi-resource-kubernetes");
    mkdirSync(join(cache, "resource-kubernetes-v4.0.0"), { recursive: true });
    mkdirSync(join(cache, "resource-command-v1.2.1"));
    writeFileSync(join(cache, "resource-command-v1.2.1.lock"), "");
    writeFileSync(plugin, "", { mode: 0o755 });
    expect(paths({ HOME: home })).toMatchObject({
      "resource-kubernetes": plugin,
      "resource-command": undefined,
    });
  });

  test("start from where they were installed, whatever its name", async () => {
    await installPlugins(directory, ["resource-command"], "/bin/echo");
    const wrapper = join(directory, "pulumi-resource-command");
    expect(spawnSync(wrapper, ["127.0.0.1:1"], { encoding: "utf8" }).stdout).toMatch(
      /^--no-warnings .*\/embedded\/plugins\/command\/command\.ts 127\.0\.0\.1:1\n$/,
    );
    expect(readFileSync(wrapper, "utf8")).toMatch(/^#!\/bin\/sh\n/);
  });
});
