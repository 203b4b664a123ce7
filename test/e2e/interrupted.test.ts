// Updates that end half-way, by Ctrl-C and by kill -9, and the update after each.

import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { until } from "../../clients/process.ts";
import { labEnvironment, PROGRAM } from "../../embedded/lab/stack.ts";
import { recoverState } from "../../embedded/lab/stackState.ts";
import { SMALL, TestLab } from "../support/e2e/harness.ts";
import { type Inventory, inventory, leaksSince } from "../support/e2e/inventory.ts";
import { SOON } from "../support/e2e/soon.ts";
import { duringTraffic, type Sightings, trial } from "../support/e2e/trial.ts";

const lab = new TestLab("kill-test", { workers: 1 });
const UP = ["up", "--yes", "--skip-preview"];
const DESTROY = ["destroy", "--yes", "--skip-preview"];
/** The cluster and the load balancer before the first update. */
let before: Inventory;

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up", "--no-program");
  before = await inventory(lab);
  await lab.set(SMALL);
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("an update from nothing ends", () => {
  trial(
    "by Ctrl-C while istioctl installs, the next one by kill -9 while it makes the first pods, and the " +
      "destroy right after it by Ctrl-C: the next destroy leaves nothing",
    async (seen) => {
      await interrupted("lab", ["up"], () => there("deployment/istiod", "istio-system"));
      await killed(UP, () => there("deployment/nginx-v116", "default"));
      await recoverState(lab.instance);
      await interrupted("pulumi", DESTROY, () => gone("deployment/istiod", "istio-system"));
      await destroyed(seen);
    },
  );

  trial(
    "by kill -9 while istioctl installs, and after `pulumi cancel` the next one by kill -9 while it makes " +
      "the first pods: the next one finishes, and then a new page for these pods",
    async () => {
      await killed(UP, () => there("deployment/istiod", "istio-system"));
      expect((await plainPulumi(UP)).all).toContain("`pulumi cancel`");
      expect(await plainPulumi(["cancel", "--yes"])).toMatchObject({ exitCode: 0 });
      await killed(UP, () => there("deployment/nginx-v116", "default"));
      expect(await plainPulumi(["cancel", "--yes"])).toMatchObject({ exitCode: 0 });
      expect(await plainPulumi(UP)).toMatchObject({ exitCode: 0 });
      await lab.set({ "versions[0].page": NEW_PAGES[0] });
      await finishes();
      await lab.up("--expect-no-changes");
      await lab.expectSplit({ v116: 50, v117: 50 });
      expect(await managers("deployment/nginx-v116")).toEqual(["istio-lab"]);
    },
  );
});

describe("Ctrl-C ends an update", () => {
  trial("while haproxy.cfg is pushed: the machine is left whole, the next one finishes", async (seen) => {
    await lab.set({ "stats.prometheus": "127.0.0.1:9101" });
    await withTraffic(seen, () => pushEnded((release) => interrupted("pulumi", UP, pushWaits, release)));
  });

  trial("while pods of a new page start: the next one finishes", async (seen) => {
    await lab.set({ "versions[0].page": NEW_PAGES[1] });
    await withTraffic(seen, () => interrupted("lab", ["up"], rolls));
  });

  trial("between two resources: the next one finishes", async (seen) => {
    await lab.set({ "versions[0].page": NEW_PAGES[2] });
    await withTraffic(seen, () => interrupted("pulumi", UP, (said) => said("nginx-pages updated")));
  });
});

describe("kill -9 ends an update", () => {
  trial("while haproxy.cfg is pushed: the machine is left whole, the next one finishes", async (seen) => {
    await lab.set({ "stats.prometheus": "127.0.0.1:9102" });
    await withTraffic(seen, () => pushEnded((release) => killed(UP, pushWaits, release)));
  });

  trial("while pods of a new page start: the next one finishes", async (seen) => {
    await lab.set({ "versions[0].page": NEW_PAGES[3] });
    await withTraffic(seen, () => killed(UP, rolls));
  });

  trial("between two resources, and half of the state is lost: the next one finishes", async (seen) => {
    await lab.set({ "versions[0].page": NEW_PAGES[4] });
    await withTraffic(seen, async () => {
      await killed(UP, (said) => said("nginx-pages updated"));
      const states = join(lab.instance.dir, "pulumi/.pulumi/stacks/istio-lab");
      // There is no metadata file beside them, which a kill could have left empty.
      expect(await readdir(states)).toEqual(["kill-test.json", "kill-test.json.bak"]);
      await truncate(join(states, "kill-test.json"), 1000);
    });
    await lab.expectSplit({ v116: 50, v117: 50 });
  });

  trial("that destroys: the next one finishes, and nothing is left", async (seen) => {
    await killed(DESTROY, () => gone("deployment/istiod", "istio-system"));
    await destroyed(seen);
  });
});

// ---- ends ----

/** Resolves when a command's output contains these words. */
type Said = (words: string) => Promise<unknown>;

/** As Ctrl-C in a terminal: every process of the foreground group gets SIGINT. */
async function interrupted(
  command: "lab" | "pulumi",
  args: readonly string[],
  moment: (said: Said) => Promise<unknown>,
  afterwards = () => {},
): Promise<void> {
  const { exitCode, all } = await ended(command, args, moment, (pid) => {
    process.kill(-pid, "SIGINT");
    afterwards();
  });
  expect(exitCode, all).toBeGreaterThan(0);
}

/** As the kernel without free memory: one process ends at once. */
async function killed(
  args: readonly string[],
  moment: (said: Said) => Promise<unknown>,
  afterwards = () => {},
): Promise<void> {
  const { signal, all } = await ended("pulumi", args, moment, (pid) => {
    process.kill(pid, "SIGKILL");
    afterwards();
  });
  expect(signal, all).toBe("SIGKILL");
}

async function ended(
  command: "lab" | "pulumi",
  args: readonly string[],
  moment: (said: Said) => Promise<unknown>,
  end: (pid: number) => void,
) {
  const child = start(command, args);
  let text = "";
  child.all.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  const said: Said = (words) => until(`"${words}"`, async () => text.includes(words), { intervalMs: 10 });
  const first = await Promise.race([moment(said).then(() => undefined), child]);
  if (first) throw new Error(`${command} ${args[0]} ended by itself, exit code ${first.exitCode}: ${text}`);
  end(child.pid as number);
  return await child;
}

/** A command as a terminal starts it, in a process group of its own. */
function start(command: "lab" | "pulumi", args: readonly string[]) {
  const program = command === "lab" ? join(PROGRAM, "lab") : command;
  return execa(program, command === "lab" ? [...args, "--name", lab.instance.name] : args, {
    cwd: PROGRAM,
    env: labEnvironment(lab.instance),
    stdin: "ignore",
    all: true,
    detached: true,
    reject: false,
  });
}

const plainPulumi = async (args: readonly string[]) => await start("pulumi", args);

// ---- moments ----

const there = (object: string, namespace: string) =>
  lab.kubectl("wait", "--for=create", object, `--namespace=${namespace}`, "--timeout=120s");

const gone = (object: string, namespace: string) =>
  lab.kubectl("wait", "--for=delete", object, `--namespace=${namespace}`, "--timeout=120s");

/** A rollout of v116 has begun. */
async function rolls(): Promise<void> {
  const old = await replicaSets();
  await until("a new ReplicaSet", async () => (await replicaSets()) > old);
}

const replicaSets = async () => (await lab.list("replicasets", "--selector=version=1.16")).length;

/** Two processes: the test's, and the push that waits for it. */
const pushWaits = () =>
  lab.run("ssh", "timeout 120 sh -c 'until [ $(pgrep --exact --count flock) = 2 ]; do sleep 0.05; done'");

// ---- afterwards ----

/**
 * Holds the lock of the load balancer's files until the action releases it, because an interrupted engine
 * waits for the push. Then waits for the end of the push, and checks what it has left.
 */
async function pushEnded(action: (release: () => void) => Promise<void>): Promise<void> {
  const { process: holder, said } = lab.start(
    "ssh",
    "sudo flock /etc/haproxy sh -c 'echo held >&2; cat >/dev/null'",
  );
  try {
    await said("held");
    await action(() => holder.stdin.end());
  } finally {
    holder.stdin.end();
    await holder;
  }
  const files = await lab.run("ssh", "sudo flock --wait 30 /etc/haproxy ls -A /etc/haproxy");
  expect(files).not.toMatch(/istio-lab-(new|old)/);
  // For a moment after a reload the service is `reloading`.
  await expect
    .poll(() => lab.try("ssh", "systemctl is-active haproxy"), SOON)
    .toMatchObject({ stdout: "active" });
}

const FIRST_PAGES = ["v1.16.1\n", "v1.17.9\n"];
const NEW_PAGES = ["one", "two", "three", "four", "five"] as const;

/** Expects that no request fails during the action, and while the next update finishes. */
async function withTraffic(seen: Sightings, action: () => Promise<void>): Promise<void> {
  const failures = await duringTraffic(lab, seen, { pages: [...FIRST_PAGES, ...NEW_PAGES] }, async () => {
    await action();
    await finishes();
  });
  expect(failures).toEqual([]);
}

/** Expects that the next update succeeds, and reports nothing of the interrupted one. */
async function finishes(): Promise<void> {
  expect(await lab.up()).not.toMatch(/pending/i);
}

/** The field managers that apply an object. Two of them could conflict. */
async function managers(object: string): Promise<string[]> {
  const text = await lab.kubectl("get", object, "--output=json", "--show-managed-fields");
  const { metadata } = JSON.parse(text) as {
    metadata: { managedFields: { manager: string; operation: string }[] };
  };
  return metadata.managedFields
    .filter(({ operation }) => operation === "Apply")
    .map(({ manager }) => manager);
}

/** The next destroy leaves the cluster and the load balancer as they were before the first update. */
async function destroyed(seen: Sightings): Promise<void> {
  await lab.run("pulumi", ...DESTROY);
  expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
}
