// Updates that end in the middle, and what the next one makes of it.

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { labEnvironment, PROGRAM, releaseDeadLocks, restoreCheckpoint } from "../../embedded/stack.ts";
import { TestLab } from "./harness.ts";
import { trial } from "./trial.ts";

const lab = new TestLab("kill-test");

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up", "--no-program");
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("an update that is killed", () => {
  trial("while istioctl installs, and again while the pods start: the next one finishes", async () => {
    await killedWhen("deployment/istiod", "istio-system");
    await killedWhen("deployment/nginx-v116", "default");
    await lab.run("up");
    await lab.expectSplit({ v116: 50, v117: 50 });
    await lab.up("--expect-no-changes");
  });
});

/** Runs `pulumi up` and kills it, as the kernel would, as soon as that object is there. */
async function killedWhen(object: string, namespace: string): Promise<void> {
  await releaseDeadLocks(lab.instance);
  await restoreCheckpoint(lab.instance);
  const pulumi = execa("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive"], {
    cwd: PROGRAM,
    env: labEnvironment(lab.instance),
    reject: false,
    // What it has started holds on to its output.
    stdio: "ignore",
  });
  const there = lab.run(
    "kubectl",
    "wait",
    "--for=create",
    object,
    `--namespace=${namespace}`,
    "--timeout=120s",
  );
  const first = await Promise.race([there, pulumi]);
  if (typeof first !== "string") throw new Error(`pulumi up ended by itself, exit code ${first.exitCode}`);
  pulumi.kill("SIGKILL");
  expect((await pulumi).signal).toBe("SIGKILL");
}
