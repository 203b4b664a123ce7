/** Tests of dashboard/prometheusPod.ts. */
import { expect, test } from "vitest";
import { type Pod, prometheusTrouble, troubleOf } from "../../../dashboard/prometheusPod.ts";
import { apiOf } from "../../support/clusterServer.ts";

const pod = (status: Pod["status"], metadata: Partial<Pod["metadata"]> = {}): Pod => ({
  metadata: { name: "p", creationTimestamp: "2026-01-01T00:00:00Z", ...metadata },
  status: { phase: "Running", ...status },
});

type Container = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];
const container = (change: Partial<Container>) => ({
  containerStatuses: [{ ready: false, restartCount: 0, ...change }],
});

const PENDING = {
  phase: "Pending",
  conditions: [
    {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message: "pod has unbound immediate PersistentVolumeClaims",
    },
  ],
};

test.each([
  ["it is well", [pod(container({ ready: true }))], undefined],
  ["there is none", [], "it has no pod"],
  ["the only one is being deleted", [pod({}, { deletionTimestamp: "now" })], "it has no pod"],
  ["its volume is missing", [pod(PENDING)], /^its pod p has no node: Unschedulable: pod has unbound/],
  ["it has a node", [pod({})], "its pod p is not started yet"],
  ["it is not ready", [pod(container({}))], "its pod p is not ready"],
  [
    "its image is missing",
    [pod(container({ state: { waiting: { reason: "ImagePullBackOff", message: "Back-off pulling" } } }))],
    "its pod p waits: ImagePullBackOff: Back-off pulling",
  ],
  [
    "it has run out of memory",
    [
      pod(
        container({
          restartCount: 3,
          state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 10s" } },
          lastState: { terminated: { reason: "OOMKilled", exitCode: 137 } },
        }),
      ),
    ],
    "its pod p has run out of memory (OOMKilled; monitoring.memory is its limit) after 3 restarts and waits: CrashLoopBackOff",
  ],
  [
    "it has ended",
    [pod(container({ restartCount: 1, lastState: { terminated: { exitCode: 2 } } }))],
    "its pod p has ended (Error, exit code 2) after 1 restart",
  ],
  [
    "it was evicted, and the next one waits",
    [
      pod({ phase: "Failed", reason: "Evicted" }),
      pod(PENDING, { name: "next", creationTimestamp: "2026-01-02T00:00:00Z" }),
    ],
    /^its pod next has no node/,
  ],
  [
    "it was evicted",
    [pod({ phase: "Failed", reason: "Evicted", message: "exceeds its limit" })],
    "its pod p has failed: Evicted: exceeds its limit",
  ],
])("%s", (_, pods, words) => {
  const found = troubleOf(pods);
  if (words instanceof RegExp) expect(found).toMatch(words);
  else expect(found).toBe(words);
});

test("pods that may not be listed give no reason", async () => {
  const { api } = await apiOf({ "/api/v1/namespaces/n/pods": 403 });
  expect(await prometheusTrouble(api, "n")).toBeUndefined();
});
