/** Tests of embedded/machines/daemons.ts. */
import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MachineSpec } from "../../../../embedded/host/instance.ts";
import { deadDaemons, whileDaemonsRun } from "../../../../embedded/machines/daemons.ts";
import { hasEnded } from "../../../../embedded/machines/machine.ts";

const SUPERVISE = join(import.meta.dirname, "../../../../embedded/machines/supervise.sh");

let machine: MachineSpec;
beforeEach(async () => {
  const dir = await mkdtemp(join(tmpdir(), "istio-lab-daemons-"));
  machine = { name: "control-plane", address: "", netns: "", link: "", cgroup: "", dir };
  for (const name of ["run", "log"]) await mkdir(join(dir, name));
});
afterEach(() => rm(machine.dir, { recursive: true }));

async function end(daemon: string, exitCode: number): Promise<void> {
  await writeFile(join(machine.dir, "log", `${daemon}.log`), "first\nno API server\n");
  await writeFile(join(machine.dir, "run", `${daemon}.exit`), `${exitCode}\n`);
}

describe("waiting while daemons run", () => {
  test("returns the work's result", async () => {
    expect(await whileDaemonsRun([machine], async () => "ready")).toBe("ready");
  });

  test("a daemon that ends meanwhile is named at once, with its log, and the work is aborted", async () => {
    let signal: AbortSignal | undefined;
    const waiting = whileDaemonsRun([machine], (given) => {
      signal = given;
      return new Promise(() => undefined);
    });
    await end("kube-controller-manager", 1);
    await expect(waiting).rejects.toThrow(
      /^kube-controller-manager on control-plane ended with exit code 1; .*\nfirst\nno API server/,
    );
    expect(signal?.aborted).toBe(true);
  });

  test("the fatal error of a daemon is shown, also where other lines follow it", async () => {
    const others = "I1125 started\n".repeat(9);
    await end("kube-apiserver", 255);
    await writeFile(join(machine.dir, "log", "kube-apiserver.log"), `F1125 21:16 hook failed\n${others}`);
    await expect(whileDaemonsRun([machine], () => new Promise(() => undefined))).rejects.toThrow(
      /kube-apiserver\.log:\nF1125 21:16 hook failed\n\.\.\.\nI1125 started/,
    );
  });

  test("a machine that ends meanwhile is named at once, with the end of its console", async () => {
    const waiting = whileDaemonsRun([machine], () => new Promise(() => undefined));
    await writeFile(join(machine.dir, "log", "console.log"), "machine.sh: 46: mount: not found\n");
    const { pid } = spawnSync("true");
    await writeFile(join(machine.dir, "machine.pid"), `${pid} 1\n`);
    await expect(waiting).rejects.toThrow(
      /^machine control-plane has ended; .*console\.log:\nmachine\.sh: 46: mount: not found/,
    );
  });

  test("a machine whose process is being noted has not ended", async () => {
    await writeFile(join(machine.dir, "machine.pid"), "");
    expect(await hasEnded(machine)).toBe(false);
  });

  test("an error of the work is its own", async () => {
    const failing = whileDaemonsRun([machine], () => Promise.reject(new Error("own")));
    await expect(failing).rejects.toThrow("own");
  });
});

/** Runs lines of a machine's init with its directories in the test's own. */
async function init(lines: string): Promise<void> {
  await execa("sh", ["-euc", `${await supervise()}\n${lines}\nwait`]);
}

async function supervise(): Promise<string> {
  return (await readFile(SUPERVISE, "utf8"))
    .replaceAll("/run/lab", join(machine.dir, "run"))
    .replaceAll("/var/log/lab", join(machine.dir, "log"))
    .replace("sleep 1\n", "sleep 0.01\n");
}

describe("supervise.sh", () => {
  test("a daemon that ends is not started again, and leaves its exit code", async () => {
    await init("daemon etcd sh -c 'echo once; exit 3'");
    expect(await deadDaemons(machine)).toEqual([{ daemon: "etcd", exitCode: 3 }]);
    expect(await readFile(join(machine.dir, "log/etcd.log"), "utf8")).toBe("once\n");
  });

  test("a persistent one is started again until it stays", async () => {
    const count = join(machine.dir, "count");
    const script = `echo x >>${count}; [ $(wc -l <${count}) -lt 3 ] && exit 1; exec sleep 1d`;
    const child = spawn("sh", [
      "-euc",
      `${await supervise()}
       persistent scheduler sh -c '${script}'; wait`,
    ]);
    const pid = async () => readFile(join(machine.dir, "run/scheduler.pid"), "utf8").catch(() => "");
    await expect.poll(() => readFile(count, "utf8").catch(() => ""), { timeout: 20_000 }).toBe("x\nx\nx\n");
    expect(await deadDaemons(machine)).toEqual([]);
    await expect
      .poll(async () => (await readFile(`/proc/${(await pid()).trim()}/comm`, "utf8")).trim())
      .toBe("sleep");
    // It is not started again after a kill: the user has to find the cause.
    process.kill(Number(await pid()), "SIGKILL");
    await expect.poll(() => deadDaemons(machine)).toEqual([{ daemon: "scheduler", exitCode: 137 }]);
    child.kill();
  });

  test.each([
    [255, "tries", 21],
    [137, "is not started again: it was killed", 1],
  ])("a persistent one with exit code %i %s", async (exitCode, _, times) => {
    await init(`persistent apiserver sh -c 'echo try; exit ${exitCode}'`);
    const log = await readFile(join(machine.dir, "log/apiserver.log"), "utf8");
    expect(log.match(/^try$/gm)).toHaveLength(times);
    expect(await deadDaemons(machine)).toEqual([{ daemon: "apiserver", exitCode }]);
  });

  test("a persistent one that never stays is given up", async () => {
    await init("persistent scheduler sh -c 'echo try; exit 1'");
    expect(await deadDaemons(machine)).toEqual([{ daemon: "scheduler", exitCode: 1 }]);
    const log = await readFile(join(machine.dir, "log/scheduler.log"), "utf8");
    expect(log.match(/try/g)).toHaveLength(21);
    expect(log).toContain("ended with exit code 1, started again");
  });
});
