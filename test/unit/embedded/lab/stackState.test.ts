/** Tests of embedded/lab/stackState.ts. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { instance } from "../../../../embedded/host/instance.ts";
import { recoverState, savedOutputs } from "../../../../embedded/lab/stackState.ts";

let root: string;
let backend: string;
let file: string;
let lock: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "istio-lab-stack-"));
  vi.stubEnv("XDG_STATE_HOME", root);
  backend = join(instance("x").dir, "pulumi", ".pulumi");
  file = join(backend, "stacks", "istio-lab", "x.json");
  lock = join(backend, "locks", "organization", "istio-lab", "x", "a.json");
  await mkdir(join(file, ".."), { recursive: true });
  await mkdir(join(lock, ".."), { recursive: true });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

test("operations that a killed Pulumi had begun are removed, resources stay", async () => {
  await writeFile(file, state(["creating", "updating", "deleting"]));
  await recoverState(instance("x"));
  expect(await readFile(file, "utf8")).toBe(state([]));
});

test("a truncated state is replaced by the previous one, a whole one is not", async () => {
  await writeFile(`${file}.bak`, state([], "before"));
  await writeFile(file, state([]));
  await recoverState(instance("x"));
  expect(await readFile(file, "utf8")).toBe(state([]));
  await writeFile(file, state([]).slice(0, 20));
  await recoverState(instance("x"));
  expect(await readFile(file, "utf8")).toBe(state([], "before"));
});

test("a truncated state without a previous one stays, for Pulumi to report", async () => {
  await writeFile(file, "{");
  await recoverState(instance("x"));
  expect(await readFile(file, "utf8")).toBe("{");
});

test(
  "the lock of a Pulumi that is dead goes, also when its number is another " +
    "program's or it is half a file",
  async () => {
    for (const text of [`{"pid":${process.pid},"username":"root"}`, '{"pid":4194304}', "{"]) {
      await writeFile(lock, text);
      await recoverState(instance("x"));
      expect(existsSync(lock)).toBe(false);
    }
  },
);

test("nothing is changed while a Pulumi runs", async () => {
  const program = join(root, "pulumi");
  await copyFile("/bin/sleep", program);
  const pulumi = spawn(program, ["60"], { stdio: "ignore" });
  await once(pulumi, "spawn");
  try {
    await writeFile(lock, `{"pid":${pulumi.pid}}`);
    await writeFile(file, state(["creating"]));
    await recoverState(instance("x"));
    expect(existsSync(lock)).toBe(true);
    expect(await readFile(file, "utf8")).toBe(state(["creating"]));
  } finally {
    pulumi.kill();
  }
});

test("outputs are those of the stack, as its last update left them", async () => {
  expect(await savedOutputs(instance("x"))).toEqual({});
  const resources = [
    { type: "pulumi:pulumi:Stack", outputs: { url: "http://nginx.hung.org.hk/", weights: { v116: 50 } } },
    { type: "istio-lab:index:Istio", outputs: { url: "of a component" } },
  ];
  await writeFile(file, JSON.stringify({ version: 3, checkpoint: { latest: { resources } } }));
  expect(await savedOutputs(instance("x"))).toEqual(resources[0]?.outputs);
});

test("a stack that is down, or was never up, has no outputs", async () => {
  await writeFile(file, JSON.stringify({ version: 3, checkpoint: { stack: "x", latest: {} } }));
  expect(await savedOutputs(instance("x"))).toEqual({});
});

/** A stack's state as the engine writes it, with these operations under way and this resource. */
function state(pending: string[], resource = "istio-lab-x"): string {
  return JSON.stringify({
    version: 3,
    checkpoint: {
      stack: "organization/istio-lab/x",
      latest: {
        resources: [{ urn: `urn:pulumi:x::istio-lab::pulumi:pulumi:Stack::${resource}` }],
        pending_operations: pending.map((type) => ({ type, resource: { urn: "urn:a" } })),
      },
    },
  });
}
