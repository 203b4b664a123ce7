/** Tests of embedded/machines/containerStore.ts. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { until } from "../../../../clients/process.ts";
import { instance, type WorkerSpec } from "../../../../embedded/host/instance.ts";
import { cloneStore, importImages, noteImages } from "../../../../embedded/machines/containerStore.ts";
import { initPid } from "../../../../embedded/machines/machine.ts";

let home: string;
let worker: WorkerSpec;
let machine: ChildProcess | undefined;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-store-"));
  const [first] = instance("x", { state: home }).workers;
  if (!first) throw new Error("a lab has workers");
  worker = first;
  await mkdir(store(), { recursive: true });
  // Stands in for nsenter: it logs its arguments and what it reads.
  const script = `#!/bin/sh\necho "$*" >>${home}/log\n[ "\${*#*import}" = "$*" ] || cat >>${home}/log\n`;
  await writeFile(join(home, "nsenter"), script, { mode: 0o755 });
  vi.stubEnv("PATH", `${home}:${process.env.PATH}`);
});
afterEach(async () => {
  machine?.kill("SIGKILL");
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

const store = () => join(worker.dir, "data", "containerd");
const log = () => readFile(join(home, "log"), "utf8").catch(() => "");

async function archive(key: string): Promise<string> {
  await mkdir(join(home, key), { recursive: true });
  await writeFile(join(home, key, "image.tar"), `archive ${key}`);
  return join(home, key, "image.tar");
}

/** A process with one child, as a machine is seen from the host. */
async function startMachine(): Promise<void> {
  machine = spawn("sh", ["-c", "sleep 100 & wait"]);
  const stat = await readFile(`/proc/${machine.pid}/stat`, "utf8");
  const since = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  await writeFile(join(worker.dir, "machine.pid"), `${machine.pid} ${since}\n`);
  await until("its first process", async () => (await initPid(worker)) !== undefined);
}

test("a running worker imports the archives that it lacks, once, in its own namespaces", async () => {
  await startMachine();
  await noteImages(store(), ["pause-1"]);
  const archives = [await archive("pause-1"), await archive("zipkin-2")];
  await importImages(worker, archives);
  const lines = (await log()).split("\n");
  const enter = `--target=${await initPid(worker)} --all ctr --namespace=k8s.io`;
  expect(lines).toContain(`${enter} images import -`);
  expect(await log()).toContain("archive zipkin-2");
  expect(await log()).not.toContain("archive pause-1");
  await importImages(worker, archives);
  expect((await log()).match(/images import/g)).toHaveLength(1);
});

test("where everything is there, the worker is left alone, running or not", async () => {
  await noteImages(store(), ["pause-1"]);
  await importImages(worker, [await archive("pause-1")]);
  expect(await log()).toBe("");
});

test("a new worker knows the content of its copy of the store, and records its own imports separately", async () => {
  const source = join(home, "source");
  await mkdir(join(source, "io.containerd.metadata.v1.bolt"), { recursive: true });
  await writeFile(join(source, "io.containerd.metadata.v1.bolt", "meta.db"), "database");
  await noteImages(source, ["pause-1"]);
  await cloneStore(source, store());
  await startMachine();
  await importImages(worker, [await archive("pause-1"), await archive("zipkin-2")]);
  expect(JSON.parse(await readFile(join(store(), "lab-images.json"), "utf8"))).toEqual([
    "pause-1",
    "zipkin-2",
  ]);
  expect(JSON.parse(await readFile(join(source, "lab-images.json"), "utf8"))).toEqual(["pause-1"]);
});
