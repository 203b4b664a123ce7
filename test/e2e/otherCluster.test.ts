/** The same kubeconfig leads to another cluster than at the previous update. */
import { existsSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { parse, stringify } from "yaml";
import { until } from "../../clients/process.ts";
import type { MachineSpec } from "../../embedded/host/instance.ts";
import { PLUGINS_VARIABLE } from "../../embedded/lab/plugins.ts";
import { labEnvironment, PROGRAM } from "../../embedded/lab/stack.ts";
import type { Status } from "../../embedded/lab/status.ts";
import { adminKubeconfig, pkiDir } from "../../embedded/machines/controlPlane.ts";
import { SMALL, TestLab } from "../support/e2e/harness.ts";
import { inventory, leaksSince } from "../support/e2e/inventory.ts";
import { cacheOfVersions, processesOfPulumi } from "../support/e2e/plugins.ts";
import { Refusals } from "../support/e2e/refusals.ts";
import { trial } from "../support/e2e/trial.ts";
import { WipedCluster } from "../support/e2e/wipedCluster.ts";

const lab = new TestLab("other-cluster-test", { workers: 2 });
const refusals = new Refusals(lab);
let wiped: WipedCluster | undefined;

beforeAll(async () => {
  await lab.make(SMALL);
  await refusals.start();
});
afterAll(async () => {
  await refusals.stop();
  await wiped?.stop();
  await lab.run("down", "--fast", "--quiet");
});

/** Has the lab's kubeconfig lead to another server during the action. */
async function elsewhere(server: string, action: () => Promise<void>): Promise<void> {
  const file = adminKubeconfig(lab.instance);
  const before = await readFile(file, "utf8");
  const config = parse(before) as { clusters: { cluster: object }[] };
  for (const entry of config.clusters) entry.cluster = { ...entry.cluster, server };
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

const resourceCount = async () => (await lab.run("pulumi", "stack", "--show-urns")).split("\n").length;

/** The identities of the application's objects: what was deleted and made anew has another one. */
const ownUids = () =>
  lab.kubectl(
    ...["get", "deployments,services,configmaps,gateways,virtualservices,destinationrules"],
    "--output=jsonpath={.items[*].metadata.uid}",
  );

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

  trial("a wiped one: up names both, and touches nothing", async (seen) => {
    wiped = await WipedCluster.start(lab.instance);
    const uid = await lab.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}");
    const kubeconfig = await refusals.kubeconfig({ cluster: { server: wiped.server } });
    await refusals.refused(
      seen,
      { settings: { kubeconfig } },
      new RegExp(
        `^cluster https://\\S+:6444 .* is another cluster than the one of this stack: .* has the UID \\S+ here, and the last update was on cluster https://\\S+:6443 \\(context \\S+\\) with the UID ${uid}; set kubeconfig and context back .* \\(pulumi state delete --all --yes\\) and run pulumi up$`,
      ),
      /^nodes is empty, and no node of cluster/,
    );
  });

  trial(
    "a wiped one: destroy deletes nothing; a refresh forgets, and the next up takes all back",
    async (seen) => {
      const before = await inventory(lab);
      const uids = await ownUids();
      await elsewhere(wiped?.server ?? "", async () => {
        const refused = async () => {
          const { exitCode, stdout, stderr } = await lab.try("pulumi", "destroy", "--yes", "--skip-preview");
          expect(exitCode).not.toBe(0);
          expect(stdout + stderr).toMatch(/leads to another cluster .*:6444 has the UID /);
        };
        const resources = await resourceCount();
        await refused();
        expect(await resourceCount()).toBe(resources);
        await lab.run("pulumi", "refresh", "--yes", "--skip-preview");
        expect(await resourceCount()).toBeLessThan(resources);
        await refused();
      });
      expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
      await lab.up();
      expect(await ownUids()).toEqual(uids);
      await lab.up("--expect-no-changes");
      await lab.expectSplit({ v116: 50, v117: 50 });
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

describe("Pulumi's plugins", () => {
  trial(
    "of several versions the program's own is used; after a kill -9, down leaves none running",
    async () => {
      const home = join(refusals.work, "pulumi-home");
      const { wanted, started } = await cacheOfVersions(home);
      const env = { ...process.env, PULUMI_HOME: home, PATH: withoutPlugins(process.env.PATH ?? "") };
      const flags = ["--no-program", "--no-monitoring", `--name=${lab.instance.name}`];
      await execa("./lab", ["up", ...flags], { cwd: PROGRAM, env: { ...env, [PLUGINS_VARIABLE]: "" } });
      const update = lab.start("pulumi", "up", "--yes", "--skip-preview");
      const installs = async () =>
        (await processesOfPulumi(lab.instance)).some((line) => line.startsWith("istioctl install"));
      await until("istioctl to install", installs, { timeoutMs: 120_000 });
      update.process.kill("SIGKILL");
      await update.process;
      expect(await processesOfPulumi(lab.instance)).not.toEqual([]);
      await lab.run("down", "--fast", "--quiet");
      expect(await processesOfPulumi(lab.instance)).toEqual([]);
      expect(await started()).toEqual([wanted]);
    },
  );
});

/** PATH without the directories that have plugins of Pulumi, which come before its cache. */
const withoutPlugins = (path: string) =>
  path
    .split(delimiter)
    .filter((directory) => !existsSync(join(directory, "pulumi-resource-kubernetes")))
    .join(delimiter);
