/** Tests of embedded/toolchain/browser.ts. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ensureBrowser } from "../../../../embedded/toolchain/browser.ts";

let bin: string;
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), "istio-lab-browser-"));
  vi.stubEnv("PATH", bin);
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(bin, { recursive: true });
});

test("a Chromium on PATH is used, and nothing is installed", async () => {
  await answer("chromium", "exit 0");
  expect(await ensureBrowser()).toBe("chromium");
});

test("where there is none, Debian's package is named and installed, and no recommended one", async () => {
  await answer("apt-get", `echo "$DEBIAN_FRONTEND $*" >>${bin}/calls`);
  await ensureBrowser();
  expect(await readFile(join(bin, "calls"), "utf8")).toBe(
    "noninteractive -qq update\nnoninteractive -qq install --no-install-recommends --yes chromium\n",
  );
  expect(console.error).toHaveBeenCalledWith(expect.stringContaining("Debian package chromium"));
});

test("an installation that fails is one clear line", async () => {
  await answer("apt-get", "exit 100");
  await expect(ensureBrowser()).rejects.toThrow(/^chromium, .* cannot be installed/);
});

async function answer(tool: string, body: string): Promise<void> {
  await writeFile(join(bin, tool), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}
