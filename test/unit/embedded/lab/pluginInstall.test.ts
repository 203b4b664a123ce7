/** Tests of embedded/lab/pluginInstall.ts. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { installPlugin } from "../../../../embedded/lab/pluginInstall.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plugins it's-"));
});

test("a stand-in starts from its own place, whatever the directory's name", async () => {
  const wrapper = await installPlugin(directory, { name: "resource-command", node: "/bin/echo" });
  expect(wrapper).toBe(join(directory, "pulumi-resource-command"));
  expect(spawnSync(wrapper, ["127.0.0.1:1"], { encoding: "utf8" }).stdout).toMatch(
    /^--no-warnings .*\/embedded\/plugins\/command\/command\.ts 127\.0\.0\.1:1\n$/,
  );
  expect(readFileSync(wrapper, "utf8")).toMatch(/^#!\/bin\/sh\n/);
});

test("an official plugin gets a directory for its files, which only its user can read", async () => {
  const temporary = join(directory, "tmp");
  const wrapper = await installPlugin(directory, {
    name: "resource-kubernetes",
    official: "/usr/bin/printenv",
    temporary,
  });
  expect(spawnSync(wrapper, ["TMPDIR"], { encoding: "utf8" }).stdout).toBe(`${temporary}\n`);
  expect(statSync(temporary).mode & 0o777).toBe(0o700);
});

test("without a directory of its own, a plugin keeps the environment's", async () => {
  const wrapper = await installPlugin(directory, { name: "resource-command", official: "/usr/bin/printenv" });
  const env = { TMPDIR: "/elsewhere" };
  expect(spawnSync(wrapper, ["TMPDIR"], { encoding: "utf8", env }).stdout).toBe("/elsewhere\n");
  expect(existsSync(join(directory, "tmp"))).toBe(false);
});
