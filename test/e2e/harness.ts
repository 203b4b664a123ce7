import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type Instance, instance } from "../../embedded/instance.ts";
import { deadDaemons, processesIn } from "../../embedded/machines/machine.ts";
import { until } from "../../embedded/run.ts";
import { stackFile } from "../../embedded/stack.ts";

const LAUNCHER = join(import.meta.dirname, "..", "..", "lab");

/** What a command of the lab's command line did. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An embedded lab of the tests' own, driven through the command line that users have. */
export class TestLab {
  readonly instance: Instance;
  constructor(name: string) {
    this.instance = instance(name);
  }

  /** Runs `./lab COMMAND --name NAME ARG...`; its failure is for the test to judge. */
  async try(command: string, ...args: string[]): Promise<Outcome> {
    const result = await execa(LAUNCHER, [command, "--name", this.instance.name, ...args], { reject: false });
    return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
  }

  /** Starts a command; `said` resolves when its standard error holds the words. */
  start(command: string, ...args: string[]) {
    const process = execa(LAUNCHER, [command, "--name", this.instance.name, ...args], { reject: false });
    let text = "";
    // Read to the end: a reader that leaves would end what it reads from.
    process.stderr.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    const said = (words: string) =>
      until(`"${words}" from lab ${command}`, async () => text.includes(words), { timeoutMs: 120_000 });
    return { process, said };
  }

  /** The same as {@link try}, and rejects with all it printed when its exit code is not 0. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(command, ...args);
    if (exitCode !== 0)
      throw new Error(`lab ${command} ${args.join(" ")}: exit code ${exitCode}\n${stderr}\n${stdout}`);
    return stdout;
  }

  /** Ends a daemon of a machine with SIGKILL, and resolves when the lab can know of it. */
  async killDaemon(machine: string, daemon: string): Promise<void> {
    const spec = this.instance.machines.find(({ name }) => name === machine);
    if (!spec) throw new Error(`no machine ${machine}`);
    for (const pid of await processesIn(spec)) {
      const name = await readFile(`/proc/${pid}/comm`, "utf8");
      if (name.trim() === daemon) process.kill(pid, "SIGKILL");
    }
    await until(`${daemon} to be dead`, async () => (await deadDaemons(spec)).length > 0);
  }

  /** Objects of the cluster, as `kubectl get … -o json` lists them. */
  async list<T = KubernetesObject>(...what: string[]): Promise<T[]> {
    return (JSON.parse(await this.run("kubectl", "get", ...what, "-o", "json")) as { items: T[] }).items;
  }

  async get<T = KubernetesObject>(...what: string[]): Promise<T> {
    return JSON.parse(await this.run("kubectl", "get", ...what, "-o", "json")) as T;
  }

  /** How many resources the newest update of the stack created, updated, left … . */
  async lastChanges(): Promise<Record<string, number>> {
    const history = JSON.parse(await this.run("pulumi", "stack", "history", "--json")) as {
      resourceChanges: Record<string, number>;
    }[];
    return history[0]?.resourceChanges ?? {};
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
    readonly labels?: Record<string, string>;
  };
  readonly spec?: unknown;
}

/** Everything on the host that bears the mark of a lab: its names, addresses and directories. */
export async function tracesOf(lab: Instance): Promise<Record<string, string[]>> {
  const lines = async (command: string, ...args: string[]) =>
    (await execa(command, args, { reject: false })).stdout.split("\n").filter(Boolean);
  const links = [lab.bridge, ...lab.machines.map(({ link }) => link)];
  return {
    namespaces: (await lines("ip", "netns")).filter((line) => line.startsWith(`${lab.name}-`)),
    links: (await lines("ip", "-o", "link")).filter((line) => links.some((link) => line.includes(link))),
    routes: (await lines("ip", "route", "show", "table", "all")).filter((line) =>
      line.includes(`${lab.prefix}.`),
    ),
    mounts: (await lines("cat", "/proc/self/mounts")).filter((line) =>
      line.includes(`/run/netns/${lab.name}-`),
    ),
    cgroups: await lines("find", "/sys/fs/cgroup", "-maxdepth", "2", "-type", "d", "-name", lab.cgroup),
    processes: await processesOf(lab),
    files: [...(await readdir(lab.dir).catch(() => [])), ...(await lines("ls", stackFile(lab)))],
  };
}

/** Processes that run from the lab's directory, in its cgroups or with its addresses on the command line. */
async function processesOf(lab: Instance): Promise<string[]> {
  const marks = [`${lab.dir}/`, `${lab.cgroup}/`, `${lab.prefix}.`];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const processes = await Promise.all(
    pids.map(async (pid) => {
      const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
      const commandLine = (await read("cmdline")).replaceAll("\0", " ");
      return { commandLine, all: `${commandLine}${await read("cgroup")}${await read("mountinfo")}` };
    }),
  );
  return processes
    .filter(({ all }) => marks.some((mark) => all.includes(mark)))
    .map(({ commandLine }) => commandLine);
}
