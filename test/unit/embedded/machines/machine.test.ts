/** Tests of embedded/machines/machine.ts. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MachineSpec } from "../../../../embedded/host/instance.ts";
import { makeCgroup, removeCgroup } from "../../../../embedded/machines/cgroups.ts";
import { runningPid } from "../../../../embedded/machines/machine.ts";

const MODULES = join(import.meta.dirname, "../../../../embedded/machines");
const CALLER = "istio-lab-unit-caller";
const LAB = "istio-lab-unit-machine";

describe.runIf(process.getuid?.() === 0)("(needs root) a machine's process", () => {
  let machine: MachineSpec;
  beforeEach(async () => {
    const dir = await mkdtemp(join(tmpdir(), "istio-lab-machine-"));
    machine = { name: "m", address: "", netns: "unit-m", link: "", cgroup: `${LAB}/m`, dir };
  });
  afterEach(async () => {
    await removeCgroup(LAB);
    await removeCgroup(CALLER);
    await rm(machine.dir, { recursive: true });
  });

  /** Starts it as a command of its own does, from the caller's session, service or scope. */
  function startFromCaller(): void {
    const script = `
      import { enterCgroup } from "${MODULES}/cgroups.ts";
      import { spawnDetached } from "${MODULES}/machine.ts";
      await enterCgroup("${CALLER}", process.pid);
      await spawnDetached(${JSON.stringify(machine)}, ["sh", "-c", "echo up; sleep 1d & wait"]);`;
    const { status, stderr } = spawnSync("node", ["--no-warnings", "--input-type=module", "--eval", script], {
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  }

  test("is in the machine's cgroup, not in its caller's, and outlives the end of everything there", async () => {
    await makeCgroup(CALLER);
    startFromCaller();
    const pid = await runningPid(machine);
    expect(pid).toBeGreaterThan(0);
    const cgroups = (await readFile(`/proc/${pid}/cgroup`, "utf8")).trim().split("\n");
    expect(cgroups.filter((line) => !line.endsWith(`:/${LAB}/m/machine`))).toEqual([]);
    // As systemd does at the last logout, and systemd-oomd under pressure.
    await removeCgroup(CALLER);
    expect(await runningPid(machine)).toBe(pid);
  });

  test("ends with its cgroup; processes that a crash left there end before the next start", async () => {
    await makeCgroup(CALLER);
    startFromCaller();
    const first = await runningPid(machine);
    startFromCaller();
    expect(await runningPid(machine)).not.toBe(first);
    // Its parent is gone. When the host's process 1 reaps it does not matter here.
    expect(await readFile(`/proc/${first}/stat`, "utf8").catch(() => " Z ")).toContain(" Z ");
    await removeCgroup(LAB);
    expect(await runningPid(machine)).toBeUndefined();
  });
});
