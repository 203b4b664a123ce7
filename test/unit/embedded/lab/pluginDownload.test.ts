/** Tests of embedded/lab/pluginDownload.ts. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withDownloads } from "../../../../embedded/lab/pluginDownload.ts";
import type { PluginName } from "../../../../embedded/lab/pluginInstall.ts";
import { wantedVersion } from "../../../../embedded/lab/pluginVersion.ts";
import { ArtifactServer } from "../../../support/artifactServer.ts";

let home: string;
let server: ArtifactServer;
let notes: string[];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-plugin-"));
  vi.stubEnv("XDG_CACHE_HOME", join(home, "cache"));
  server = await ArtifactServer.start({});
  notes = [];
});
afterEach(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

async function get(name: PluginName, path?: string) {
  const download = {
    pulumi: join(home, "pulumi"),
    note: (line: string) => notes.push(line),
    env: { LAB_MIRROR: server.url },
  };
  const [plugin] = await withDownloads([{ name, path, unfit: [] }], download);
  return plugin?.path;
}

test("a plugin that is on the machine is not downloaded", async () => {
  expect(await get("resource-command", "/opt/pulumi-resource-command")).toBe("/opt/pulumi-resource-command");
  expect(server.requests).toEqual([]);
});

test("two labs at once share one download, checked by the release's checksums", async () => {
  await writeFile(join(home, "pulumi-resource-command"), "plugin");
  const tar = await execa("tar", ["-C", home, "-cz", "pulumi-resource-command"], { encoding: "buffer" });
  const archive = Buffer.from(tar.stdout);
  const version = wantedVersion("resource-command");
  const base = `/github.com/pulumi/pulumi-command/releases/download/v${version}`;
  const name = `pulumi-resource-command-v${version}-linux-amd64.tar.gz`;
  const sha256 = createHash("sha256").update(archive).digest("hex");
  server.files[`${base}/${name}`] = archive;
  server.files[`${base}/pulumi-command_${version}_checksums.txt`] = `${sha256}  ${name}\n`;
  const [one, two] = await Promise.all([get("resource-command"), get("resource-command")]);
  expect(one).toBe(two);
  expect(await readFile(one ?? "", "utf8")).toBe("plugin");
  expect(server.requests.filter(({ path }) => path.endsWith(name))).toHaveLength(1);
});

test("one that cannot be had leaves its place to the stand-in, and the reason is said", async () => {
  server.status = 403;
  expect(await get("resource-command")).toBeUndefined();
  expect(notes.at(-1)).toMatch(/^the stand-in of Pulumi's plugin resource-command is used: .* answered 403/);
  expect(server.requests).toHaveLength(1);
});

test("the language plugin is the one beside the engine, or none", async () => {
  expect(await get("language-nodejs")).toBeUndefined();
  await writeFile(join(home, "pulumi-language-nodejs"), "");
  expect(await get("language-nodejs")).toBe(join(home, "pulumi-language-nodejs"));
  expect(existsSync(join(home, "pulumi"))).toBe(false);
});
