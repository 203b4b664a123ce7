/** Tests of embedded/machines/cgroups.ts. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test } from "vitest";
import {
  enterCgroup,
  hierarchies,
  makeCgroup,
  makeLabCgroup,
  removeCgroup,
} from "../../../../embedded/machines/cgroups.ts";

const root = process.getuid?.() === 0;
const PATH = "istio-lab-unit-cgroups";

afterEach(() => (root ? removeCgroup(PATH) : undefined));

/** Lines of /proc/PID/cgroup that name another cgroup than this one. */
async function outside(path: string, pid: number | undefined): Promise<string[]> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, "utf8")).trim().split("\n");
  return lines.filter((line) => !line.endsWith(`:/${path}`));
}

function sleeper(): ChildProcess {
  const child = spawn("sleep", ["1d"], { stdio: "ignore" });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  return child;
}

/** A hierarchy of cgroup v2 that can enable a controller for its children: the host's, or v1's remainder. */
async function unified(): Promise<string | undefined> {
  for (const hierarchy of await hierarchies()) {
    const controllers = await readFile(join(hierarchy, "cgroup.controllers"), "utf8").catch(() => "");
    if (/\b(cpuset|cpu|io|memory|pids|hugetlb)\b/.test(controllers)) return hierarchy;
  }
  return undefined;
}
const v2 = await unified();

test.runIf(root)("(needs root) a process is in the cgroup in every hierarchy of the host", async () => {
  const { pid = 0 } = sleeper();
  await makeCgroup(`${PATH}/node/machine`);
  await enterCgroup(`${PATH}/node/machine`, pid);
  expect(await outside(`${PATH}/node/machine`, pid)).toEqual([]);
});

test.runIf(root)("(needs root) removal ends the processes there and leaves no directory", async () => {
  const child = sleeper();
  await makeCgroup(`${PATH}/node/machine`);
  await enterCgroup(`${PATH}/node/machine`, child.pid ?? 0);
  const ended = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
  await removeCgroup(PATH);
  expect(await ended).toBe("SIGKILL");
  expect((await hierarchies()).filter((hierarchy) => existsSync(join(hierarchy, PATH)))).toEqual([]);
});

test.runIf(root)("(needs root) a refusal of the kernel is an error that names the file", async () => {
  const { pid = 0 } = sleeper();
  await expect(enterCgroup(`${PATH}/none`, pid)).rejects.toThrow(
    new RegExp(`cgroups: the kernel refuses to write "${pid}" to /sys/fs/cgroup/.*${PATH}/none/cgroup.procs`),
  );
});

/** The hierarchy of v1 that shares the processors out. */
const v1 = (await hierarchies()).find((hierarchy) => existsSync(join(hierarchy, "cpu.shares")));

test.runIf(root && v1)("(needs v1) a lab weighs more than one process of the host", async () => {
  const weight = async (path: string) => Number(await readFile(join(v1 ?? "", path, "cpu.shares"), "utf8"));
  await makeLabCgroup(PATH, 5);
  await makeCgroup(`${PATH}/node/machine`);
  expect(await weight(PATH)).toBe(5 * availableParallelism() * (await weight(`${PATH}/node`)));
  await makeLabCgroup(PATH, 5000);
  expect(await weight(PATH)).toBe(262_144);
});

test.runIf(root && v2)("(needs v2) the cgroup has every controller that its parent can pass on", async () => {
  await makeCgroup(`${PATH}/node/machine`);
  const controllers = (...path: string[]) => readFile(join(v2 ?? "", ...path, "cgroup.controllers"), "utf8");
  const handed = (await controllers(PATH, "node", "machine")).trim().split(" ");
  const usable = (await controllers()).split(/\s/).filter((name) => !["rdma", "misc", ""].includes(name));
  expect(handed).toEqual(expect.arrayContaining(usable));
  // Processes may enter it, because it enables no controller for its children.
  const own = await readFile(join(v2 ?? "", PATH, "node", "machine", "cgroup.subtree_control"), "utf8");
  expect(own.trim()).toBe("");
});

test.runIf(root && v2)(
  "(needs v2) a parent with processes cannot hand controllers on: an error",
  async () => {
    const parent = join(v2 ?? "", PATH, "busy");
    const { pid } = sleeper();
    await makeCgroup(`${PATH}/busy`);
    await writeFile(join(parent, "cgroup.procs"), `${pid}`);
    await mkdir(join(parent, "child"));
    await expect(makeCgroup(`${PATH}/busy/child`)).rejects.toThrow(/subtree_control: EBUSY/);
  },
);
