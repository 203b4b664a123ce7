/** The load-balancer machine alone, for benchmarks and tests: no cluster. */
import { mkdir } from "node:fs/promises";
import { execa } from "execa";
import { until } from "../clients/process.ts";
import { commands, standardInput } from "../components/haproxyEdge/haproxyEdge.ts";
import { runTasks } from "../embedded/host/progress.ts";
import { type Instance, instance } from "../embedded/instance.ts";
import { stop } from "../embedded/lab/lab.ts";
import {
  knownHostsFile,
  loadBalancerReady,
  SSH_USER,
  sshKeyFile,
  startLoadBalancer,
} from "../embedded/machines/loadBalancer.ts";
import { initPid } from "../embedded/machines/machine.ts";
import { startNetwork } from "../embedded/machines/network.ts";
import { ensureToolchain } from "../embedded/toolchain/toolchain.ts";

/** A machine with sshd, sudo, systemd and HAProxy. */
export class EdgeMachine {
  readonly lab: Instance;
  /** Owner of what is pushed. */
  readonly owner: string;
  /** As HaproxyEdge takes it; without the host key, which OpenSSH reads from a file here. */
  readonly machine: {
    host: string;
    port: number;
    user: string;
    hostKey: string;
    configFile: string;
  };

  constructor(name: string) {
    this.lab = instance(name);
    this.owner = `organization/istio-lab/${name}`;
    this.machine = {
      host: this.lab.loadBalancer.address,
      port: 22,
      user: SSH_USER,
      hostKey: "",
      configFile: "/etc/haproxy/haproxy.cfg",
    };
  }

  /** Recreates it, and resolves when Debian's own configuration serves. */
  async start(): Promise<void> {
    await stop(this.lab);
    const tools = await ensureToolchain(
      (tasks) => runTasks(tasks, { quiet: true }),
      () => undefined,
    );
    await mkdir(this.lab.dir, { recursive: true, mode: 0o700 });
    await startNetwork(this.lab);
    await startLoadBalancer(this.lab, tools.loadBalancerRoot);
    await loadBalancerReady(this.lab);
    const active = async () => (await this.inside("systemctl is-active haproxy")) === "active";
    await until("haproxy.service", active);
  }

  /** Removes all of it from the host. */
  stop(): Promise<void> {
    return stop(this.lab);
  }

  /** As {@link onLoadBalancer}. */
  inside(script: string): Promise<string> {
    return onLoadBalancer(this.lab, script);
  }

  /**
   * The command that HaproxyEdge builds, over OpenSSH.
   *
   * @param input everything that is sent; without it, the caller sends.
   */
  push(input?: string, { reloadCommand }: { reloadCommand?: string } = {}) {
    return this.ssh(commands({ ...this.machine, reloadCommand }, this.owner).update, input);
  }

  remove() {
    return this.ssh(commands(this.machine, this.owner).delete, standardInput(""));
  }

  /** As `ssh USER@HOST COMMAND`. */
  ssh(command: string, input?: string) {
    const options = [
      `UserKnownHostsFile=${knownHostsFile(this.lab)}`,
      "StrictHostKeyChecking=yes",
      "LogLevel=ERROR",
    ];
    const args = ["-i", sshKeyFile(this.lab), ...options.flatMap((option) => ["-o", option])];
    const sent = input === undefined ? {} : { input };
    const { user, host } = this.machine;
    return execa("ssh", [...args, `${user}@${host}`, command], { ...sent, reject: false });
  }
}

/** Runs as root on a lab's load balancer, without sshd and sudo: to cause faults, and to inspect. */
export async function onLoadBalancer({ loadBalancer }: Instance, script: string): Promise<string> {
  const pid = await initPid(loadBalancer);
  const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid"];
  const { stdout } = await execa("nsenter", [`--target=${pid}`, ...namespaces, "sh", "-c", script], {
    stderr: "ignore",
    reject: false,
  });
  return stdout;
}

/** Pid of the HAProxy process that serves: another one after each reload. */
export function haproxyWorker(lab: Instance): Promise<string> {
  return onLoadBalancer(lab, "curl --silent http://127.0.0.1/.istio-lab/worker");
}
