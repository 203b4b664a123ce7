/** A cluster that was wiped and installed anew: a second API server on a lab's control plane. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { until } from "../../../clients/process.ts";
import type { Instance } from "../../../embedded/host/instance.ts";
import { labEnvironment } from "../../../embedded/lab/stack.ts";
import { processesIn } from "../../../embedded/machines/machine.ts";

const PORT = 6444;

export class WipedCluster {
  /** URL of its API server. The lab's own authority and users count there too. */
  readonly server: string;
  readonly #process: ChildProcess;

  /** Resolves when it has its first namespaces. */
  static async start(lab: Instance): Promise<WipedCluster> {
    const { pid, words } = await apiServerOf(lab);
    const [program = "", ...args] = words.filter((word) => !word.startsWith("--secure-port="));
    const own = [`--secure-port=${PORT}`, "--etcd-prefix=/wiped"];
    const inside = ["--target", String(pid), "--mount", "--net", "--pid", "--uts", "--ipc"];
    const child = spawn("nsenter", [...inside, program, ...args, ...own], { stdio: "ignore" });
    const cluster = new WipedCluster(`https://${lab.controlPlane.address}:${PORT}`, child);
    await until("the wiped cluster", async () => (await cluster.#uidIn(lab)) !== "", { timeoutMs: 120_000 });
    return cluster;
  }

  private constructor(server: string, process: ChildProcess) {
    this.server = server;
    this.#process = process;
  }

  /** Does nothing where it has ended, with the lab. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const end = once(this.#process, "exit");
    // nsenter waits for the API server, which is its child.
    await execa("pkill", ["-KILL", "-P", String(this.#process.pid)], { reject: false });
    this.#process.kill("SIGKILL");
    await end;
  }

  async #uidIn(lab: Instance): Promise<string> {
    const get = ["get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}"];
    const args = [`--server=${this.server}`, "--request-timeout=5s", ...get];
    const { stdout, exitCode } = await execa("kubectl", args, { env: labEnvironment(lab), reject: false });
    return exitCode === 0 ? stdout : "";
  }
}

/** The lab's own API server: its pid on the host, and its command line. */
async function apiServerOf(lab: Instance): Promise<{ pid: number; words: string[] }> {
  for (const pid of await processesIn(lab.controlPlane)) {
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0").slice(0, -1);
    if (words[0]?.endsWith("/kube-apiserver")) return { pid, words };
  }
  throw new Error(`no API server runs on ${lab.controlPlane.name}`);
}
