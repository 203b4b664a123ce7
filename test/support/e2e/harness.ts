/** A lab of the tests' own, driven through the users' command line. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { until } from "../../../clients/process.ts";
import { sshArguments } from "../../../embedded/commands/tools.ts";
import { type Instance, instance } from "../../../embedded/host/instance.ts";
import { labEnvironment, PROGRAM, pageOf, requireOutputs, stackFile } from "../../../embedded/lab/stack.ts";
import { recoverState } from "../../../embedded/lab/stackState.ts";
import { deadDaemons } from "../../../embedded/machines/daemons.ts";
import { processesIn } from "../../../embedded/machines/machine.ts";
import { type ProbeResult, probe } from "../../../probe/probe.ts";
import { removeIn, setIn } from "./stackSettings.ts";

const LAUNCHER = join(PROGRAM, "lab");
const TOOLS = ["pulumi", "istioctl", "kubectl"];

/** One pod of each version and no egress gateway: it starts and changes sooner than the article's stack. */
export const SMALL = {
  "versions[0].replicas": "1",
  "versions[1].replicas": "1",
  "istio.components.egressGateways[0].name": "istio-egressgateway",
  "istio.components.egressGateways[0].enabled": "false",
};

/** The result of a command of `./lab`. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LabOptions {
  /** With Prometheus and Zipkin. @default without */
  readonly monitoring?: boolean;
  /** With fewer, the lab starts sooner and takes less time of the processor. @default the article's three */
  readonly workers?: number;
  /**
   * Also `./lab pulumi`, `istioctl` and `ssh` start with the launcher. @default the tool alone, in the same
   * environment: the launcher would take a tenth of the tests' time
   */
  readonly launched?: boolean;
}

/** An embedded lab of the tests' own, driven through the users' command line. */
export class TestLab {
  readonly instance: Instance;
  readonly #flags: readonly string[];
  readonly #launched: boolean;

  constructor(name: string, { monitoring = false, workers, launched = false }: LabOptions = {}) {
    this.instance = instance(name, { workers });
    this.#launched = launched;
    this.#flags = [
      ...(monitoring ? [] : ["--no-monitoring"]),
      ...(workers === undefined ? [] : [`--workers=${workers}`]),
    ];
  }

  /** Makes the lab again, and its stack with these settings. */
  async make(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.run("down", "--fast", "--quiet");
    await this.run("up", "--no-program");
    await this.set(settings);
    await this.up();
  }

  #spawn(command: string, args: readonly string[]) {
    const tool = { cwd: PROGRAM, env: labEnvironment(this.instance), reject: false } as const;
    if (!this.#launched && command === "ssh")
      return execa("ssh", [...sshArguments(this.instance), ...args], tool);
    if (!this.#launched && TOOLS.includes(command)) return execa(command, args, tool);
    const flags = command === "up" ? this.#flags : [];
    return execa(LAUNCHER, [command, "--name", this.instance.name, ...flags, ...args], { reject: false });
  }

  /** Runs `./lab COMMAND --name NAME ARG...`. Does not reject; the test judges the result. */
  async try(command: string, ...args: string[]): Promise<Outcome> {
    // `./lab pulumi` does it too.
    if (command === "pulumi") await recoverState(this.instance);
    const result = await this.#spawn(command, args);
    return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
  }

  /** Starts a command. `said` resolves to its standard output so far, when its output contains the words. */
  start(command: string, ...args: string[]) {
    const process = this.#spawn(command, args);
    let text = "";
    let data = "";
    // The output is read to its end, because a closed pipe would end the command.
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

  /** As {@link try}, but rejects with the command's output when its exit code is not 0. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(command, ...args);
    if (exitCode !== 0)
      throw new Error(`lab ${command} ${args.join(" ")}: exit code ${exitCode}\n${stderr}\n${stdout}`);
    return stdout;
  }

  /** Runs kubectl as `./lab kubectl` does, without the launcher. Rejects when its exit code is not 0. */
  kubectl(...args: string[]): Promise<string> {
    return this.#kubectl(args);
  }

  async #kubectl(args: readonly string[], input = ""): Promise<string> {
    return (await execa("kubectl", args, { env: labEnvironment(this.instance), input })).stdout;
  }

  /** Ends a daemon of a machine by SIGKILL, and resolves when the lab can notice it. */
  async killDaemon(machine: string, daemon: string): Promise<void> {
    const spec = this.instance.machines.find(({ name }) => name === machine);
    if (!spec) throw new Error(`no machine ${machine}`);
    for (const pid of await processesIn(spec)) {
      // A process that ends meanwhile is another one.
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
      if (name.trim() === daemon) process.kill(pid, "SIGKILL");
    }
    await until(`${daemon} to be dead`, async () => (await deadDaemons(spec)).length > 0);
  }

  /** Objects of the cluster, from `kubectl get … -o json`. */
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

  /**
   * Sets plain keys of the stack's config by their paths, in its file: `pulumi config` would take half a
   * second of the processor each time.
   */
  set(settings: Readonly<Record<string, string>>): Promise<void> {
    return setIn(stackFile(this.instance), settings);
  }

  unset(...keys: string[]): Promise<void> {
    return removeIn(stackFile(this.instance), keys);
  }

  /** Creates an object in the cluster that the stack does not own. */
  async create(object: object): Promise<void> {
    await this.#kubectl(["create", "--filename=-"], JSON.stringify(object));
  }

  /** Expects 800 requests through the load balancer to be split by the weights, none failed. */
  async expectSplit(weights: Record<string, number>): Promise<ProbeResult> {
    const result = await (this.#launched ? this.#launchedProbe() : this.#probe());
    expect(result).toMatchObject({ requests: 800, failed: 0, weights, ok: true });
    return result;
  }

  /** What `./lab probe` does, in this process. */
  async #probe(): Promise<ProbeResult> {
    const page = await pageOf(this.instance, await requireOutputs(this.instance));
    return probe({ ...page, requests: 800 });
  }

  async #launchedProbe(): Promise<ProbeResult> {
    const { exitCode, stdout, stderr } = await this.try("probe", "-n", "800", "--json");
    expect(exitCode, `${stdout}\n${stderr}`).toBe(0);
    return JSON.parse(stdout) as ProbeResult;
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
