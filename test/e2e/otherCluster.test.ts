/** The same kubeconfig leads to another cluster than at the previous update. */
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { parse, stringify } from "yaml";
import type { MachineSpec } from "../../embedded/host/instance.ts";
import { labEnvironment, PROGRAM } from "../../embedded/lab/stack.ts";
import type { Status } from "../../embedded/lab/status.ts";
import { adminKubeconfig, pkiDir } from "../../embedded/machines/controlPlane.ts";
import { SMALL, TestLab } from "../support/e2e/harness.ts";
import { inventory, leaksSince } from "../support/e2e/inventory.ts";
import { Refusals } from "../support/e2e/refusals.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("other-cluster-test", { workers: 2 });
const refusals = new Refusals(lab);
const KUBE_SYSTEM = "/api/v1/namespaces/kube-system";
const OTHER = { apiVersion: "v1", kind: "Namespace", metadata: { name: "kube-system", uid: "0000-other" } };

beforeAll(async () => {
  await lab.make(SMALL);
  await refusals.start();
});
afterAll(async () => {
  await refusals.stop();
  await lab.run("down", "--fast", "--quiet");
});

/** Has the lab's kubeconfig lead to another server during the action. */
async function elsewhere(server: string, action: () => Promise<void>): Promise<void> {
  const file = adminKubeconfig(lab.instance);
  const before = await readFile(file, "utf8");
  const config = parse(before) as { clusters: { cluster: object }[] };
  for (const entry of config.clusters) entry.cluster = { server };
  await writeFile(file, stringify(config));
  try {
    await action();
  } finally {
    await writeFile(file, before);
  }
}

/** The lab's stand-ins, those of Pulumi's plugins too. */
const standIns = async () => (JSON.parse(await lab.run("status", "--json")) as Status).standIns;

/** The administrator's kubeconfig, with files of its own beside it. */
async function relativeKubeconfig(): Promise<string> {
  const pki = pkiDir(lab.instance);
  for (const file of ["ca.crt", "admin.crt", "admin.key"])
    await copyFile(join(pki, file), join(refusals.work, file));
  return refusals.kubeconfig({
    cluster: { "certificate-authority-data": undefined, "certificate-authority": "ca.crt" },
    user: { "client-certificate": "./admin.crt", "client-key": "admin.key" },
  });
}

describe("nodes that come and go", () => {
  trial("are named by status, with the command that takes them", async () => {
    const [node] = lab.instance.workers;
    await lab.kubectl("cordon", `${node?.name}`);
    expect((await lab.try("status")).stdout).toContain(
      `node ${node?.name} is behind the load balancer, and takes no pods any more: ./lab up`,
    );
    await lab.kubectl("uncordon", `${node?.name}`);
    expect((await lab.try("status")).stdout).toContain("all nodes Ready");
  });
});

describe("nodes that the load balancer does not reach", () => {
  trial("one: preview names it, and goes on", async () => {
    const [, node] = lab.instance.workers;
    await unreachable(node ? [node] : [], async () => {
      const said = await lab.run("pulumi", "preview");
      expect(said).toMatch(
        new RegExp(
          `does not reach, on NodePort \\d+, ${node?.name} \\(${node?.address}\\): no answer within 3 s;`,
        ),
      );
    });
  });

  trial("all: refused before anything is touched", (seen) =>
    unreachable(lab.instance.workers, () =>
      refusals.refused(
        seen,
        {},
        /^load balancer \S+ reaches none of the nodes \(.*rancher-node03 .*\): let its/,
      ),
    ),
  );
});

/** Drops the load balancer's packets to these machines during the action, as a firewall does. */
async function unreachable(machines: readonly MachineSpec[], action: () => Promise<void>): Promise<void> {
  const { netns } = lab.instance.loadBalancer;
  const neighbours = async (verb: string, ...entry: string[]) => {
    for (const { address } of machines)
      await execa("ip", ["-netns", netns, "neigh", verb, address, "dev", "eth0", ...entry]);
  };
  await neighbours("replace", "lladdr", "02:00:00:00:00:99", "nud", "permanent");
  try {
    await action();
  } finally {
    await neighbours("del");
  }
}

describe("the kubeconfig leads to another cluster", () => {
  trial(
    "the same cluster passes, from the shell of ./lab env too: nothing changes, the plugins stay",
    async () => {
      const before = await standIns();
      const name = `--name=${lab.instance.name}`;
      const up = `eval "$(./lab env ${name})" && exec ./lab up --no-monitoring ${name}`;
      const { all } = await execa("sh", ["-c", up], { cwd: PROGRAM, all: true });
      expect(all).not.toContain("does not reach");
      const { create = 0, update = 0, delete: deleted = 0 } = await lab.lastChanges();
      expect({ create, update, deleted }).toEqual({ create: 0, update: 0, deleted: 0 });
      expect(await standIns()).toEqual(before);
    },
  );

  trial("a kubeconfig with paths relative to its own directory passes", async () => {
    await lab.set({ kubeconfig: await relativeKubeconfig(), "weights.v116": "40", "weights.v117": "60" });
    onTestFinished(async () => {
      await lab.set({
        kubeconfig: adminKubeconfig(lab.instance),
        "weights.v116": "50",
        "weights.v117": "50",
      });
    });
    await lab.up("--target", "**kubernetes::cluster", "--target", "**VirtualService::split");
    expect(await lab.lastChanges()).toMatchObject({ update: 2 });
    const weights = await lab.kubectl("get", "virtualservice", "nginx", "--output=jsonpath={..weight}");
    expect(weights.split(" ").sort()).toEqual(["40", "60"]);
  });

  trial("up names both clusters, and touches nothing", async (seen) => {
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
    const server = `http://${await refusals.apiServerWith({ [KUBE_SYSTEM]: OTHER })}`;
    await elsewhere(server, async () => {
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

describe("the cluster does not answer any more", () => {
  trial("destroy says so and deletes nothing; the command that it prints destroys the rest", async () => {
    await elsewhere("https://127.0.0.1:1", async () => {
      const destroy = ["destroy", "--yes", "--skip-preview"];
      const { exitCode, stdout, stderr } = await lab.try("pulumi", ...destroy);
      expect(exitCode).not.toBe(0);
      expect(stdout + stderr).toMatch(
        /the cluster of this stack does not answer .*127\.0\.0\.1:1 was refused/,
      );
      expect(stdout + stderr).not.toContain("configured Kubernetes cluster is unreachable");
      expect(stdout).not.toMatch(/^ - .* deleted \(/m);
      const [, setting = "", value = ""] = /^ *(PULUMI_\w+)=(\w+) pulumi destroy$/m.exec(stdout) ?? [];
      const env = { ...labEnvironment(lab.instance), [setting]: value };
      await execa("pulumi", destroy, { cwd: PROGRAM, env });
    });
    expect(await lab.run("pulumi", "stack", "export")).not.toContain('"urn"');
    expect(await lab.run("ssh", "head -n 1 /etc/haproxy/haproxy.cfg")).not.toContain("istio-lab");
  });
});
