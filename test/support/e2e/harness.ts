/** A lab of the tests' own, driven through the command line that users have. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { until } from "../../../clients/process.ts";
import { type Instance, instance } from "../../../embedded/host/instance.ts";
import { labEnvironment } from "../../../embedded/lab/stack.ts";
import { deadDaemons } from "../../../embedded/machines/daemons.ts";
import { processesIn } from "../../../embedded/machines/machine.ts";
import type { ProbeResult } from "../../../probe/probe.ts";

const LAUNCHER = join(import.meta.dirname, "../../../lab");

/** What a command of the lab's command line did. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An embedded lab of the tests' own, driven through the command line that users have. */
export class TestLab {
  readonly instance: Instance;
  readonly #flags: readonly string[];

  /**
   * @param options `monitoring`: with Prometheus and Zipkin, which most tests need not wait for, @default
   * without; `workers`: where one is enough, the lab starts sooner, @default the article's three
   */
  constructor(
    name: string,
    { monitoring = false, workers }: { monitoring?: boolean; workers?: number } = {},
  ) {
    this.instance = instance(name, { workers });
    this.#flags = [
      ...(monitoring ? [] : ["--no-monitoring"]),
      ...(workers === undefined ? [] : [`--workers=${workers}`]),
    ];
  }

  #words(command: string, args: readonly string[]): string[] {
    const flags = command === "up" ? this.#flags : [];
    return [command, "--name", this.instance.name, ...flags, ...args];
  }

  /** Runs `./lab COMMAND --name NAME ARG...`; its failure is for the test to judge. */
  async try(command: string, ...args: string[]): Promise<Outcome> {
    const result = await execa(LAUNCHER, this.#words(command, args), { reject: false });
    return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
  }

  /** Starts a command; `said` resolves when its output holds the words, to standard output until then. */
  start(command: string, ...args: string[]) {
    const process = execa(LAUNCHER, this.#words(command, args), { reject: false });
    let text = "";
    let data = "";
    // Read to the end: a closed pipe would end the command.
    for (const stream of [process.stdout, process.stderr])
      stream.on("data", (chunk: Buffer) => {
        text += chunk;
        if (stream === process.stdout) data += chunk;
      });
    const said = async (words: string) => {
      await until(`"${words}" from lab ${command}`, async () => text.includes(words), { timeoutMs: 120_000 });
      return data;
    };
    return { process, said };
  }

  /** The same as {@link try}, and rejects with all it printed when its exit code is not 0. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(command, ...args);
    if (exitCode !== 0)
      throw new Error(`lab ${command} ${args.join(" ")}: exit code ${exitCode}\n${stderr}\n${stdout}`);
    return stdout;
  }

  /**
   * kubectl as `./lab kubectl` runs it, without the launcher, which would take a tenth of the tests' time.
   * Rejects when its exit code is not 0.
   */
  kubectl(...args: string[]): Promise<string> {
    return this.#kubectl(args);
  }

  async #kubectl(args: readonly string[], input = ""): Promise<string> {
    return (await execa("kubectl", args, { env: labEnvironment(this.instance), input })).stdout;
  }

  /** Ends a daemon of a machine with SIGKILL, and resolves when the lab can know of it. */
  async killDaemon(machine: string, daemon: string): Promise<void> {
    const spec = this.instance.machines.find(({ name }) => name === machine);
    if (!spec) throw new Error(`no machine ${machine}`);
    for (const pid of await processesIn(spec)) {
      // One that ends meanwhile is not it.
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
      if (name.trim() === daemon) process.kill(pid, "SIGKILL");
    }
    await until(`${daemon} to be dead`, async () => (await deadDaemons(spec)).length > 0);
  }

  /** Objects of the cluster, as `kubectl get … -o json` lists them. */
  async list<T = KubernetesObject>(...what: string[]): Promise<T[]> {
    return (JSON.parse(await this.kubectl("get", ...what, "-o", "json")) as { items: T[] }).items;
  }

  async get<T = KubernetesObject>(...what: string[]): Promise<T> {
    return JSON.parse(await this.kubectl("get", ...what, "-o", "json")) as T;
  }

  /** How many resources the newest update of the stack created, updated, left … . */
  async lastChanges(): Promise<Record<string, number>> {
    const history = JSON.parse(await this.run("pulumi", "stack", "history", "--json")) as {
      resourceChanges: Record<string, number>;
    }[];
    return history[0]?.resourceChanges ?? {};
  }

  /** `pulumi up`, as a user runs it. */
  up(...flags: string[]): Promise<string> {
    return this.run("pulumi", "up", "--yes", "--skip-preview", ...flags);
  }

  /** Sets keys of the stack's config, plain ones, by their paths. */
  set(settings: Readonly<Record<string, string>>): Promise<string> {
    const args = Object.entries(settings).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
    return this.run("pulumi", "config", "set-all", "--path", ...args);
  }

  async unset(...keys: string[]): Promise<void> {
    for (const key of keys) await this.run("pulumi", "config", "rm", "--path", key);
  }

  /** Creates an object in the cluster that the stack does not own. */
  async create(object: object): Promise<void> {
    await this.#kubectl(["create", "--filename=-"], JSON.stringify(object));
  }

  /** Expects 800 requests through the load balancer to be split by the weights, none failed. */
  async expectSplit(weights: Record<string, number>): Promise<ProbeResult> {
    const { exitCode, stdout, stderr } = await this.try("probe", "-n", "800", "--json");
    const result = JSON.parse(stdout) as ProbeResult;
    expect(result, stderr).toMatchObject({ requests: 800, failed: 0, weights, ok: true });
    expect(exitCode).toBe(0);
    return result;
  }

  async outputs(): Promise<Record<string, unknown>> {
    return JSON.parse(await this.run("pulumi", "stack", "output", "--json")) as Record<string, unknown>;
  }

  /** The page's address through the load balancer. */
  get url(): string {
    return `http://${this.instance.loadBalancer.address}/echo/test.txt`;
  }
}

export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly spec?: unknown;
}
