// The embedded lab with what a stock machine has and this one may not: br_netfilter's rules off in the nodes, a host
// whose firewall drops what it forwards, kernel settings other than the kubelet's.

import { readFile, writeFile } from "node:fs/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { CLUSTER_DNS_IP } from "../../embedded/instance.ts";
import { readMade } from "../../embedded/lab/made.ts";
import { runningPid } from "../../embedded/machines/machine.ts";
import { TestLab } from "../support/e2e/harness.ts";
import { iptables } from "../support/e2e/hostSettings.ts";
import { leaksOnHost } from "../support/e2e/traces.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("stock-host");

/** Settings that a kubelet changes, and values that it does not want. */
const UNWANTED = { "kernel/panic": "7", "kernel/keys/root_maxkeys": "999999" };
const original: Record<string, string> = {};

/** The host drops what it forwards, and filters bridged frames: both for this lab's links alone. */
const DROP = ["-i", `${lab.instance.link.slice(0, -2)}+`, "-j", "DROP"];

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  for (const [name, value] of Object.entries(UNWANTED)) {
    original[name] = await readFile(`/proc/sys/${name}`, "utf8");
    await writeFile(`/proc/sys/${name}`, value);
  }
  await iptables("--insert", "FORWARD", ...DROP);
});
afterAll(async () => {
  await iptables("--delete", "FORWARD", ...DROP);
  for (const [name, value] of Object.entries(original)) await writeFile(`/proc/sys/${name}`, value);
  await lab.run("down", "--fast", "--quiet");
});

describe("a host whose firewall drops what it forwards", () => {
  test("does not cut the machines off from each other: no packet of theirs passes it", async () => {
    await lab.run("up", "--no-program");
    const rules = await iptables("--list-rules", "FORWARD", "--verbose");
    expect(rules).toMatch(new RegExp(`-i ${DROP[1]?.replace("+", "\\+")} -c 0 0 -j DROP`));
  });
});

describe("nodes whose bridges bypass iptables", () => {
  test("a pod reaches a Service whose pod is on its own node, and one on another node", async () => {
    for (const { netns } of lab.instance.workers) await bypassIptables(netns);
    await bypassIptables(lab.instance.switchNetns);
    const [dns] = await lab.list<{ spec: { nodeName: string } }>("pods", "--namespace=kube-system");
    const nodes = lab.instance.workers.map(({ name }) => name);
    const other = nodes.find((name) => name !== dns?.spec.nodeName) ?? "";
    for (const node of [dns?.spec.nodeName ?? "", other]) await resolvesOn(node);
  });
});

describe("the host", () => {
  test("keeps its kernel settings while nodes run whose kubelets want others", async () => {
    for (const [name, value] of Object.entries(UNWANTED))
      expect((await readFile(`/proc/sys/${name}`, "utf8")).trim()).toBe(value);
  });

  test("has every machine in a cgroup of its own, in all hierarchies, and none in the caller's", async () => {
    for (const machine of lab.instance.machines) {
      const cgroups = await readFile(`/proc/${await runningPid(machine)}/cgroup`, "utf8");
      for (const line of cgroups.trim().split("\n")) expect(line).toContain(`:/${machine.cgroup}/machine`);
    }
  });

  trial("is as before when the lab is down", async (seen) => {
    await lab.run("down", "--fast");
    // The rule and the values of this test are not the lab's.
    const own = Object.keys(UNWANTED).map((name) => name.replaceAll("/", "."));
    const leaks = (await leaksOnHost(lab.instance, seen)).filter(
      (leak) => !own.some((name) => leak.includes(name)) && !leak.includes(String(DROP[1])),
    );
    expect(leaks).toEqual([]);
  });
});

/** As where the module br_netfilter is not loaded. */
async function bypassIptables(netns: string): Promise<void> {
  await execa("nsenter", [
    `--net=/run/netns/${netns}`,
    ...[
      "sh",
      "-c",
      "for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $file ] || echo 0 >$file; done",
    ],
  ]);
}

/** Starts a pod there and resolves a name by the cluster's DNS Service. */
async function resolvesOn(node: string): Promise<void> {
  const pod = `on-${node}`;
  const image = (await readMade(lab.instance))?.images.pause;
  const overrides = JSON.stringify({ spec: { nodeName: node } });
  await lab.kubectl("run", pod, `--image=${image}`, "--image-pull-policy=Never", `--overrides=${overrides}`);
  await lab.kubectl("wait", "--for=condition=Ready", `pod/${pod}`, "--timeout=60s");
  const query = `/bin/busybox nslookup kubernetes.default.svc.cluster.local ${CLUSTER_DNS_IP}`;
  await until(`an answer on ${node}`, async () => {
    const answer = await lab.kubectl("exec", pod, "--", "/bin/busybox", "sh", "-c", `${query} 2>&1 || :`);
    return /Address.*10\.96\.0\.1$/m.test(answer);
  });
}
