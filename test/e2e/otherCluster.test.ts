/** The cluster is another one than at the time of the last update, under the same kubeconfig. */
import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { parse, stringify } from "yaml";
import { adminKubeconfig } from "../../embedded/machines/controlPlane.ts";
import { TestLab } from "../support/e2e/harness.ts";
import { inventory, leaksSince } from "../support/e2e/inventory.ts";
import { Refusals } from "../support/e2e/refusals.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("other-cluster-test");
const refusals = new Refusals(lab);
const KUBE_SYSTEM = "/api/v1/namespaces/kube-system";
const OTHER = { apiVersion: "v1", kind: "Namespace", metadata: { name: "kube-system", uid: "0000-other" } };

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up");
  await refusals.start();
});
afterAll(async () => {
  await refusals.stop();
  await lab.run("down", "--fast", "--quiet");
});

/** Makes the lab's kubeconfig lead to a cluster of another identity meanwhile. */
async function elsewhere(action: () => Promise<void>): Promise<void> {
  const file = adminKubeconfig(lab.instance);
  const before = await readFile(file, "utf8");
  const config = parse(before) as { clusters: { cluster: object }[] };
  const server = `http://${await refusals.apiServerWith({ [KUBE_SYSTEM]: OTHER })}`;
  for (const entry of config.clusters) entry.cluster = { server };
  await writeFile(file, stringify(config));
  try {
    await action();
  } finally {
    await writeFile(file, before);
  }
}

describe("the kubeconfig leads to another cluster", () => {
  trial("the same cluster passes: a second up changes nothing", async () => {
    await lab.up();
    const { create = 0, update = 0, delete: deleted = 0 } = await lab.lastChanges();
    expect({ create, update, deleted }).toEqual({ create: 0, update: 0, deleted: 0 });
  });

  trial("preview and up name both clusters, and touch nothing", async (seen) => {
    const server = `http://${await refusals.apiServerWith({ [KUBE_SYSTEM]: OTHER })}`;
    const uid = await lab.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}");
    const kubeconfig = await refusals.kubeconfig({ cluster: { server } });
    await refusals.refused(
      seen,
      { settings: { kubeconfig } },
      new RegExp(
        `^cluster http://\\S+ .* is another cluster than the one of this stack: .* the UID 0000-other here, and the last update was on cluster https://\\S+ \\(context \\S+\\) with the UID ${uid}; set kubeconfig and context back .* \\(pulumi state delete --all --yes\\) and run pulumi up$`,
      ),
    );
  });

  trial("destroy deletes nothing", async (seen) => {
    const before = await inventory(lab);
    const resources = (await lab.run("pulumi", "stack", "--show-urns")).split("\n").length;
    await elsewhere(async () => {
      const { exitCode, stdout, stderr } = await lab.try("pulumi", "destroy", "--yes", "--skip-preview");
      expect(exitCode).not.toBe(0);
      expect(stdout + stderr).toMatch(/leads to another cluster .* has the UID 0000-other/);
    });
    expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
    expect((await lab.run("pulumi", "stack", "--show-urns")).split("\n")).toHaveLength(resources);
  });

  trial("a stack that forgets its resources goes up again", async () => {
    await lab.run("pulumi", "state", "delete", "--all", "--yes");
    await lab.up();
    await lab.expectSplit({ v116: 50, v117: 50 });
  });
});
