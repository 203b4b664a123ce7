/** Tests of the scripts in package.json. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };

let work = "";
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
});
afterEach(() => rmSync(work, { recursive: true }));

/** Runs the command that `npm ci` runs first, with another version of Node. */
function preinstall(version: string) {
  const preload = join(work, "version.cjs");
  writeFileSync(
    preload,
    `Object.defineProperty(process, "versions", { value: { node: ${JSON.stringify(version)} } });`,
  );
  const env = { ...process.env, NODE_OPTIONS: `--require=${preload}` };
  return spawnSync("sh", ["-c", scripts.preinstall ?? ""], { encoding: "utf8", env });
}

it("a Node that is too old ends the installation", () => {
  for (const version of ["20.20.2", "22.2.0", "22.18.0", "23.5.0"])
    expect(preinstall(version)).toMatchObject({
      status: 1,
      stderr: `Node ${version} is too old: install Node 22.19, or 24 or later\n`,
    });
  for (const version of ["22.19.0", "24.1.0", "26.0.0"])
    expect(preinstall(version)).toMatchObject({ status: 0, stderr: "" });
});
