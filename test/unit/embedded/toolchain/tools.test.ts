/** Tests of embedded/toolchain/tools.ts. */
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROGRAM } from "../../../../embedded/lab/stack.ts";
import { linkTools } from "../../../../embedded/toolchain/tools.ts";
import { useOwnCache } from "../../../support/ownCache.ts";

const ownCache = useOwnCache();

test("programs are links, HAProxy is a script that runs the one of its root file system", async () => {
  const tools = await linkTools(["/cache/bin/kubectl", "/cache/bin/pulumi"], "/cache/roots/edge");
  expect((await readdir(tools)).sort()).toEqual(["haproxy", "kubectl", "pulumi"]);
  expect(await readlink(join(tools, "kubectl"))).toBe("/cache/bin/kubectl");
  expect(await readFile(join(tools, "haproxy"), "utf8")).toMatch(/^root='\/cache\/roots\/edge'$/m);
  expect((await lstat(join(tools, "haproxy"))).mode & 0o777).toBe(0o755);
});

test("none of them leads into this checkout, which may be gone when another one uses them", async () => {
  const tools = await linkTools(["/cache/bin/kubectl"], "/cache/roots/edge");
  expect(await readFile(join(tools, "haproxy"), "utf8")).not.toContain(PROGRAM);
});

test("a second run replaces each of them by a rename, and leaves no other files", async () => {
  await linkTools(["/cache/bin/kubectl"], "/cache/roots/older");
  const tools = await linkTools(["/cache/newer/kubectl"], "/cache/roots/newer");
  expect(await readlink(join(tools, "kubectl"))).toBe("/cache/newer/kubectl");
  expect(await readFile(join(tools, "haproxy"), "utf8")).toContain("/cache/roots/newer");
  expect(await readdir(join(ownCache(), "istio-lab"))).toEqual(["tools"]);
});
