/** Runs a load-balancer machine (sshd, sudo, systemd, HAProxy) without a cluster. */
import { mkdir } from "node:fs/promises";
import { execa } from "execa";
import { until } from "../clients/process.ts";
import type { LoadBalancer } from "../components/haproxyEdge/config.ts";
import { type Instance, instance } from "../embedded/host/instance.ts";
import { runTasks } from "../embedded/host/progress.ts";
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
import { push, type RemoteScript, restore } from "../haproxy/push.ts";

/** The parts of a push besides haproxy.cfg. */
export interface PushOptions {
  /** Chain and key. @default none */
  readonly pem?: string;
  /** @default systemctl */
  readonly reloadCommand?: string;
}

export class EdgeMachine {
  readonly lab: Instance;
  /** Owner of the pushed files. */
  readonly owner: string;
  /** The machine for HaproxyEdge, without its host key. */
  readonly machine: { -readonly [K in keyof LoadBalancer]: LoadBalancer[K] };

  #init: number | undefined;

  constructor(name: string) {
    this.lab = instance(name);
    this.owner = `organization/istio-lab/${name}`;
    this.machine = {
      host: this.lab.loadBalancer.address,
      port: 22,
      user: SSH_USER,
      configFile: "/etc/haproxy/haproxy.cfg",
    };
  }

  /**
   * Starts a new one, and resolves when Debian's own configuration serves.
   * @param root its root file system. @default the lab's, Debian 12
   */
  async start(root?: string): Promise<void> {
    await stop(this.lab);
    const tools = await ensureToolchain(
      (tasks) => runTasks(tasks, { quiet: true }),
      () => undefined,
    );
    await mkdir(this.lab.dir, { recursive: true, mode: 0o700 });
    await startNetwork(this.lab);
    await startLoadBalancer(this.lab, root ?? tools.loadBalancerRoot);
    await loadBalancerReady(this.lab);
    const active = async () => (await this.inside("systemctl is-active haproxy")) === "active";
    await until("haproxy.service", active);
    this.#init = await initPid(this.lab.loadBalancer);
  }

  /** Removes everything of it from the host. */
  stop(): Promise<void> {
    return stop(this.lab);
  }

  /** As {@link onLoadBalancer}. */
  inside(script: string): Promise<string> {
    return onLoadBalancer(this.lab, script);
  }

  /** The commands and the input that HaproxyEdge sends. */
  script(config: string, { pem, reloadCommand }: PushOptions = {}): RemoteScript {
    return push(
      { ...this.machine, ...(reloadCommand && { reloadCommand }) },
      { config, ...(pem === undefined ? {} : { pem }) },
    );
  }

  /** Pushes as HaproxyEdge does, over OpenSSH. */
  push(config: string, options: PushOptions = {}) {
    return this.send(this.script(config, options));
  }

  restore() {
    return this.send(restore(this.machine, this.owner));
  }

  /** Over OpenSSH, or on the machine itself, as its ordinary user. */
  send({ command, input }: RemoteScript) {
    return this.machine.local ? this.here(command, input) : this.ssh(command, input);
  }

  /** Runs a command in a shell of the machine's ordinary user. */
  here(command: string, input: string) {
    const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid"];
    const asUser = ["runuser", "--user", SSH_USER, "--", "/bin/sh", "-c", command];
    return execa("nsenter", [`--target=${this.#init}`, ...namespaces, ...asUser], { input, reject: false });
  }

  /** Runs `ssh USER@HOST COMMAND`. @param input standard input. @default the caller writes it */
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

/** Runs a script as root on a lab's load balancer, past sshd and sudo, to make and inspect faults. */
export async function onLoadBalancer({ loadBalancer }: Instance, script: string): Promise<string> {
  const pid = await initPid(loadBalancer);
  const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid"];
  const { stdout } = await execa("nsenter", [`--target=${pid}`, ...namespaces, "sh", "-c", script], {
    stderr: "ignore",
    reject: false,
  });
  return stdout;
}

/** Pid of HAProxy's worker process. Each reload starts another one. */
export function haproxyWorker(lab: Instance): Promise<string> {
  return onLoadBalancer(lab, "curl --silent --unix-socket /run/haproxy/istio-lab.sock http://localhost/");
}
