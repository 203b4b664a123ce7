/** Tests of embedded/lab/pluginVersion.ts. */
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { installPlugin, PLUGIN_NAMES } from "../../../../embedded/lab/pluginInstall.ts";
import { reportedVersion, serves, wantedVersion } from "../../../../embedded/lab/pluginVersion.ts";

test("a version serves at or above the wanted one, within its major version", () => {
  const serving = ["4.34.2", "4.34.10", "4.40.0", "v4.35.0-alpha.1"];
  const unfit = ["4.34.1", "4.9.0", "3.99.0", "5.0.0", "", "next", "4.34"];
  expect(serving.filter((version) => serves(version, "4.34.2"))).toEqual(serving);
  expect(unfit.filter((version) => serves(version, "4.34.2"))).toEqual([]);
});

test("each plugin reports its version before any engine is there", async () => {
  const directory = mkdtempSync(join(tmpdir(), "plugins-"));
  for (const name of PLUGIN_NAMES) {
    const version = await reportedVersion(name, await installPlugin(directory, { name }));
    expect(version, name).toMatch(/^\d+\.\d+\.\d+/);
    expect(serves(version ?? "", wantedVersion(name)), `${name} ${version}`).toBe(true);
  }
});

test("a file that is no plugin has no version", async () => {
  const directory = mkdtempSync(join(tmpdir(), "plugins-"));
  const file = join(directory, "pulumi-resource-command");
  expect(await reportedVersion("resource-command", file)).toBeUndefined();
  writeFileSync(file, "#!/bin/sh\necho usage\n");
  chmodSync(file, 0o755);
  expect(await reportedVersion("resource-command", file)).toBeUndefined();
});
