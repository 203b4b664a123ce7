// The embedded lab on a host that cannot carry it, and on one that crashed: what it refuses, repairs and
// leaves alone.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { hierarchies, makeCgroup, removeCgroup } from "../../embedded/machines/cgroups.ts";
import { processesIn, runningPid } from "../../embedded/machines/machine.ts";
import { type KubernetesObject, TestLab } from "../support/e2e/harness.ts";
import { SOON } from "../support/e2e/soon.ts";
import { leaksOnHost, tracesOf } from "../support/e2e/traces.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("crash-test", { workers: 2 });
const [mistaken, broken] = lab.instance.workers;

/** Foreign things on this host, whose names begin like the lab's. */
const THEIRS = {
  netns: "crash-test-two-control-plane",
  bridge: "not-the-labs",
  cgroup: "istio-lab-crash-test-two",
};
const THEIR_PREFIX = "10.211.213";

const mount = join(tmpdir(), "istio-lab-crash-test");
let foreign: ChildProcess;

beforeAll(async () => {
  await clear();
  await mkdir(mount);
  await execa("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", mount]);
  await execa("ip", ["netns", "add", THEIRS.netns]);
  await execa("ip", ["link", "add", THEIRS.bridge, "type", "bridge"]);
  await execa("ip", ["addr", "add", `${THEIR_PREFIX}.1/24`, "dev", THEIRS.bridge]);
  await makeCgroup(THEIRS.cgroup);
  foreign = spawn("ip", ["netns", "exec", THEIRS.netns, "sleep", "1d"], { stdio: "ignore" });
  await once(foreign, "spawn");
});
afterAll(async () => {
  foreign.kill("SIGKILL");
  await clear();
});

/** Removes the lab and the foreign things, where they exist: the previous run can have been killed. */
async function clear(): Promise<void> {
  await lab.run("down", "--fast", "--quiet");
  await execa("ip", ["netns", "delete", THEIRS.netns], { reject: false });
  await execa("ip", ["link", "delete", THEIRS.bridge], { reject: false });
  await removeCgroup(THEIRS.cgroup);
  await execa("umount", [mount], { reject: false });
  await rm(mount, { recursive: true, force: true });
}

describe("a host that cannot carry the embedded lab", () => {
  trial("its disk nearly full: names the place, the need and the free space; makes nothing", async (seen) => {
    const { exitCode, stderr } = await tryUp({ env: { XDG_STATE_HOME: mount } });
    expect(stderr).toMatch(
      new RegExp(
        `^lab: the disk is too full: ${mount}/istio-lab/crash-test needs 3000 MB, and \\d\\d MB are ` +
          "free there\\. Make room, or set XDG_STATE_HOME",
      ),
    );
    expect(exitCode).toBe(1);
    expect(await readdir(mount, { recursive: true })).toEqual(["istio-lab"]);
    expect(await leaksOnHost(lab.instance, seen)).toEqual([]);
  });

  trial(
    "its network taken: names the interface and the way to choose another network; makes nothing",
    async (seen) => {
      const { exitCode, stderr } = await tryUp({ args: ["--subnet", `${THEIR_PREFIX}.0/24`] });
      expect(stderr).toContain(
        `subnet ${THEIR_PREFIX}.0/24 of lab "crash-test" is taken: ${THEIR_PREFIX}.1/24 on ${THEIRS.bridge}`,
      );
      expect(stderr).toContain("Choose another one: --subnet ");
      expect(exitCode).toBe(1);
      expect(await leaksOnHost(lab.instance, seen)).toEqual([]);
    },
  );

  trial("without root: fails before anything is made", async (seen) => {
    const { exitCode, stderr } = await tryUp({ as: UNPRIVILEGED });
    expect(stderr).toMatch(/^lab: this host cannot carry the embedded lab\. It needs:\n {2}- root, to make/);
    expect(exitCode).toBe(1);
    expect(await leaksOnHost(lab.instance, seen)).toEqual([]);
  });
});

describe("a host that crashes under the embedded lab", () => {
  trial("every port that its machines serve is in use on the host: the lab starts all the same", async () => {
    const servers = await Promise.all([22, 53, 80, 443, 2379, 6443, 10250].map(take));
    try {
      await lab.run("up", "--no-program");
    } finally {
      for (const server of servers) server?.close();
    }
    await lab.kubectl("create", "configmap", "from-before", "--from-literal=a=b");
  });

  trial(
    "every process and half of the network gone, a pid file with the id of another process: the lab " +
      "comes up with its content, and what is not the lab's stays",
    async () => {
      const theirs = await thingsOfOthers();
      await killEverything();
      await execa("ip", ["netns", "delete", broken?.netns ?? ""]);
      await execa("ip", ["netns", "delete", lab.instance.switchNetns]);
      await recordForeignPid();
      expect((await lab.try("status")).stdout).toMatch(/control-plane +\S+ +off/);

      await lab.run("up", "--no-program");
      await expectWell();
      await lab.get("configmap", "from-before");
      expect(await thingsOfOthers()).toEqual(theirs);
    },
  );

  trial(
    "etcd, an API server and a containerd that die: named by status, with the log; the next up repairs them",
    async () => {
      const worker = await workerOfDns();
      await lab.killDaemon("control-plane", "kube-apiserver");
      await lab.killDaemon("control-plane", "etcd");
      await lab.killDaemon(worker, "containerd");
      const { exitCode, stdout } = await lab.try("status");
      expect(stdout).toMatch(/control-plane +\S+ +broken/);
      expect(stdout).toContain(
        "kube-apiserver ended with exit code 137: ./lab logs control-plane kube-apiserver",
      );
      expect(stdout).toContain("etcd ended with exit code 137: ./lab logs control-plane etcd");
      expect(stdout).toContain(`containerd ended with exit code 137: ./lab logs ${worker} containerd`);
      expect(exitCode).toBe(1);
      await lab.run("up", "--no-program");
      await expectWell();
      await lab.get("configmap", "from-before");
    },
  );

  trial(
    "HAProxy and sshd that stopped on the load balancer: named by status; the next up starts them",
    async () => {
      await lab.run("ssh", "sudo systemctl stop haproxy ssh");
      const { stdout } = await lab.try("status");
      expect(stdout).toMatch(/load-balancer +\S+ +broken/);
      expect(stdout).toContain("haproxy is inactive: ./lab logs load-balancer");
      expect(stdout).toContain("ssh is inactive: ./lab logs load-balancer");
      await lab.run("up", "--no-program");
      await expectWell();
      expect(await lab.run("ssh", "systemctl is-active haproxy")).toBe("active");
    },
  );

  trial(
    "every process gone again: down leaves nothing of the lab, and what is not the lab's stays",
    async (seen) => {
      const theirs = await thingsOfOthers();
      await killEverything();
      await recordForeignPid();
      await lab.run("down");
      expect(await leaksOnHost(lab.instance, seen)).toEqual([]);
      expect(await thingsOfOthers()).toEqual(theirs);
    },
  );
});

/** The worker with the cluster's DNS, where pods that `up` waits for have to come back. */
async function workerOfDns(): Promise<string> {
  interface Pod extends KubernetesObject {
    readonly spec: { nodeName: string };
  }
  const [pod] = await lab.list<Pod>("pods", "--namespace=kube-system");
  return pod?.spec.nodeName ?? "";
}

/**
 * Runs a command as user 65534 with the right to read everything, because the checkout can be in root's
 * directory.
 */
const UNPRIVILEGED = [
  ...["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
  ...["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"],
];

interface Attempt {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The command that runs `./lab`. */
  readonly as?: readonly string[];
}

/** `./lab up` that is expected to fail early. */
async function tryUp({ args = [], env = {}, as = ["env"] }: Attempt) {
  const [command = "", ...first] = as;
  const up = [join(PROGRAM, "lab"), "up", "--no-program", "--name", lab.instance.name];
  return execa(command, [...first, ...up, ...args], { env, reject: false });
}

/** Listens on a port of every address of the host; undefined where another process has the port. */
async function take(port: number): Promise<Server | undefined> {
  const server = createServer();
  const listening = once(server.listen(port), "listening");
  return listening.then(
    () => server,
    () => undefined,
  );
}

/** Ends every process of the lab at once, without cleaning up, as a crash of the host does. */
async function killEverything(): Promise<void> {
  const pids = await Promise.all(
    lab.instance.machines.map(async (machine) => [
      (await runningPid(machine)) ?? 0,
      ...(await processesIn(machine)),
    ]),
  );
  for (const pid of pids.flat().filter(Boolean)) kill(pid);
  await expect.poll(async () => (await tracesOf(lab.instance)).processes, SOON).toEqual([]);
}

/** After a crash, a machine's recorded pid can belong to another process. */
async function recordForeignPid(): Promise<void> {
  await writeFile(join(mistaken?.dir ?? "", "machine.pid"), `${foreign.pid} 1\n`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended together with another process.
  }
}

/** Expects every machine to run and every node to be ready. The stack is not up, so it is not checked. */
async function expectWell(): Promise<void> {
  const { stdout } = await lab.try("status", "--json");
  const { machines, cluster } = JSON.parse(stdout) as { machines: { state: string }[]; cluster: string[] };
  const processes = await Promise.all(lab.instance.machines.map(processesIn));
  expect({
    states: machines.map(({ state }) => state),
    empty: processes.filter((some) => some.length === 0),
    cluster,
  }).toEqual({ states: machines.map(() => "running"), empty: [], cluster: [] });
}

/** The state of the foreign things on this host. */
async function thingsOfOthers(): Promise<Record<string, unknown>> {
  const { stdout: namespaces } = await execa("ip", ["netns", "pids", THEIRS.netns]);
  const { stdout: bridge } = await execa("ip", ["-o", "addr", "show", THEIRS.bridge]);
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n");
  return {
    processes: namespaces.split("\n"),
    alive: existsSync(`/proc/${foreign.pid}`),
    bridge,
    mount: mounts.filter((line) => line.includes(mount)),
    cgroups: (await hierarchies()).map((hierarchy) => existsSync(join(hierarchy, THEIRS.cgroup))),
  };
}
