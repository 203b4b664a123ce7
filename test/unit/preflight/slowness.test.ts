// Time limits of the preflight on a slow machine.
import { dirname } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { preflight } from "../../../preflight/preflight.ts";
import { slownessAfter } from "../../../preflight/slowness.ts";
import { clusterOf } from "../../support/clusterServer.ts";
import { findKubectl } from "../../support/kubectl.ts";
import { OWNER } from "../../support/preflight.ts";

beforeAll(() => void vi.stubEnv("PATH", `${dirname(findKubectl())}:/usr/bin:/bin`));
afterAll(() => void vi.unstubAllEnvs());

test("a machine that loads the program in up to two seconds is not called slow", () => {
  expect([200, 2000, 7000].map(slownessAfter)).toEqual([1, 1, 3.5]);
});

test("the preflight passes on a machine that is a little slow", async () => {
  const { kubeconfig } = await clusterOf({ "/version": { gitVersion: "v1.34.4" } });
  const options = { owner: OWNER, slowness: slownessAfter(2100.12345) };
  expect(await preflight([], { kubeconfig }, options)).toEqual({});
});

test("the limits are as many times longer as the machine is slower", async () => {
  const { kubeconfig } = await clusterOf({}, { silent: true });
  const answer = new Promise<string>((resolve) => setTimeout(() => resolve("answered"), 2000));
  let first = "";
  const machineChecks = [
    async ({ signal }: { readonly signal: AbortSignal }) => {
      const over = new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("over")));
      first = await Promise.race([answer, over]);
      return { faults: [] };
    },
  ];
  const run = preflight([{ machineChecks }], { kubeconfig }, { owner: OWNER, slowness: 0.01 });
  await expect(run).rejects.toThrow("does not answer in time");
  expect(first).toBe("over");
});
