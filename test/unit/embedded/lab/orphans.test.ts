/** Tests of embedded/lab/orphans.ts. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Instance, instance } from "../../../../embedded/host/instance.ts";
import { endOrphans } from "../../../../embedded/lab/orphans.ts";
import { pulumiHome } from "../../../../embedded/lab/pluginHome.ts";
import { PROGRAM } from "../../../../embedded/lab/stack.ts";

let root: string;
let lab: Instance;
const engines: ChildProcess[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "orphans-"));
  lab = instance("x", { state: root });
});
afterEach(async () => {
  for (const engine of engines.splice(0)) engine.kill("SIGKILL");
  for (const owner of ["x", "y"]) await endOrphans(instance(owner, { state: root }));
});

test("a plugin whose engine was killed ends, with the processes that it started", async () => {
  const { engine, pids } = await startPlugin(lab);
  expect(pids).toHaveLength(3);
  engine.kill("SIGKILL");
  await once(engine, "exit");
  expect(await endOrphans(lab)).toBe(3);
  expect(pids.filter(runs)).toEqual([]);
});

test("a killed plugin's processes end", async () => {
  const { engine, pids } = await startPlugin(lab);
  const [plugin] = pids.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pulumi-"));
  engine.kill("SIGKILL");
  await once(engine, "exit");
  process.kill(plugin as number, "SIGKILL");
  await expect.poll(() => runs(plugin as number), { timeout: 20_000 }).toBe(false);
  expect(await endOrphans(lab)).toBe(2);
  expect(pids.filter(runs)).toEqual([]);
});

test("a plugin at work stays, and so does that of another lab", async () => {
  const own = await startPlugin(lab);
  const other = await startPlugin(instance("y", { state: root }));
  other.engine.kill("SIGKILL");
  await once(other.engine, "exit");
  expect(await endOrphans(lab)).toBe(0);
  expect([...own.pids, ...other.pids].filter(runs)).toHaveLength(6);
});

/**
 * A `pulumi` that starts a plugin in a process group of its own, which starts a shell, which starts a
 * `sleep`.
 */
async function startPlugin(of: Instance): Promise<{ engine: ChildProcess; pids: number[] }> {
  const directory = mkdtempSync(join(root, "bin-"));
  const [engine, plugin] = [join(directory, "pulumi"), join(directory, "pulumi-resource-command")];
  const file = join(root, `${of.name}.pids`);
  // A process has the name of its executable. A script's process would have the shell's name.
  copyFileSync("/usr/bin/perl", engine);
  chmodSync(engine, 0o755);
  writeFileSync(
    plugin,
    `#!/bin/sh\nsh -c 'echo $$ >> ${file}; sleep 600 & echo $! >> ${file}; wait' &\necho $$ >> ` +
      `${file}\nwait\n`,
    { mode: 0o755 },
  );
  const start = `my $pid = fork; if (!$pid) { setpgrp; exec "${plugin}" } waitpid $pid, 0`;
  const started = spawn(engine, ["-e", start], {
    cwd: PROGRAM,
    env: { PATH: process.env.PATH, PULUMI_HOME: pulumiHome(of) },
    stdio: "ignore",
  });
  engines.push(started);
  const pids = () => {
    try {
      return readFileSync(file, "utf8").trim().split("\n").map(Number);
    } catch {
      return [];
    }
  };
  await expect.poll(() => pids().length, { timeout: 20_000 }).toBe(3);
  return { engine: started, pids: pids() };
}

function runs(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
