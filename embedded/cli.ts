import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Command, Option } from "commander";
import { isInterrupted, LabError, passThrough, watchInterrupts } from "../clients/process.ts";
import { quote } from "../clients/shell.ts";
import { probeCommand } from "../probe/command.ts";
import { shiftCommand } from "../probe/shift/command.ts";
import { answerScripts, completionCommand } from "./commands/completion.ts";
import { withLock } from "./host/lock.ts";
import { faultInName, type Instance, stateHome } from "./instance.ts";
import { findInstance } from "./lab/lab.ts";
import {
  labEnvironment,
  PROGRAM,
  pageOf,
  pulumiOnTerminal,
  recoverState,
  stackOutputs,
} from "./lab/stack.ts";
import { adminKubeconfig } from "./machines/controlPlane.ts";
import { knownHostsFile, SSH_USER, sshKeyFile } from "./machines/loadBalancer.ts";

/** Options that every command takes, before or after its name. */
interface Global {
  readonly name?: string;
  readonly subnet?: string;
  readonly quiet?: true;
}

// What one command alone needs is imported by its action: `./lab kubectl` is called often, and should cost little.
const program = new Command("lab")
  .description("Istio's traffic shifting on a cluster of real machines, all on this host")
  .showHelpAfterError()
  .enablePositionalOptions();

program
  .command("up")
  .description("bring what is needed, start the machines, run the Pulumi program, show the split")
  .option("--no-program", "start the machines alone: an empty cluster and a load balancer without our config")
  .action(({ program: wanted }: { program: boolean }) =>
    exclusively(async (lab, { quiet = false }) => {
      const { up } = await import("./commands/up.ts");
      await up(lab, { quiet, program: wanted });
    }),
  );

program.addCommand(shiftCommand(shiftLab));
program.addCommand(probeCommand(probeDefaults));

program
  .command("status")
  .description("machines, daemons, cluster, stack, and what is a stand-in")
  .option("--json", "print one object")
  .action(async (flags: { json?: true }) => {
    const { printStatus } = await import("./commands/status.ts");
    process.exitCode = await printStatus(await chosen(), flags);
  });

program
  .command("logs")
  .description("the logs of the machines' daemons")
  .argument("[machine]", "control-plane, rancher-node02 …, load-balancer; all by default")
  .argument("[daemon]", "kubelet, containerd, kube-apiserver, etcd …")
  .option("-f, --follow", "go on as they grow")
  .option("-n, --lines <number>", "last lines of each", "20")
  .action(async (machine, daemon, flags) => {
    const { logs } = await import("./commands/logs.ts");
    await logs(await running(), { machine, daemon, ...flags });
  });

program
  .command("kubeconfig")
  .description("print the lab's kubeconfig")
  .option("--merge", "merge it into ~/.kube/config instead, under the context istio-lab-NAME")
  .action(async (flags: { merge?: true }) => {
    const lab = await running();
    if (flags.merge) await mergeKubeconfig(lab);
    else process.stdout.write(await readFile(adminKubeconfig(lab), "utf8"));
  });

program
  .command("env")
  .description('print what a shell needs for kubectl, istioctl and pulumi: eval "$(./lab env)"')
  .action(async () => {
    for (const [name, value] of Object.entries(labEnvironment(await running()))) {
      console.log(value === undefined ? `unset ${name}` : `export ${name}=${quote(value)}`);
    }
  });

tool("pulumi", "Pulumi on the lab's stack: ./lab pulumi preview", async (lab) => {
  await recoverState(lab);
  return ["pulumi"];
});
tool("kubectl", "kubectl on the lab's cluster", async () => ["kubectl"]);
tool("istioctl", "istioctl on the lab's cluster", async () => ["istioctl"]);
tool("ssh", "a shell, or a command, on the load balancer", async (lab) => [
  ...[
    "ssh",
    "-i",
    sshKeyFile(lab),
    "-o",
    `UserKnownHostsFile=${knownHostsFile(lab)}`,
    "-o",
    "IdentitiesOnly=yes",
  ],
  ...["-o", "LogLevel=ERROR", `${SSH_USER}@${lab.loadBalancer.address}`],
]);

program
  .command("down")
  .description("pulumi destroy, machines off; nothing stays on the host but the cache")
  .option("--purge", "remove the cache of binaries, root file systems and images too")
  .option("--fast", "skip pulumi destroy: the cluster goes with the machines")
  .action((flags: { purge?: true; fast?: true }) =>
    exclusively(async (lab, { quiet = false }) => {
      const { down } = await import("./commands/down.ts");
      await down(lab, { ...flags, quiet });
    }),
  );

program
  .command("test")
  .description("type check, lint, unit tests, then the end-to-end test on a lab of its own")
  .argument("[files...]", "only these test files")
  .option("--write", "write docs/reliability.md and docs/browser.png from what the end-to-end tests saw")
  .addOption(
    new Option("--plugins <which>", "Pulumi plugins of the end-to-end tests' labs").choices([
      "official",
      "stand-ins",
    ]),
  )
  .action(async (files: string[], flags: { write?: true; plugins?: string }) => {
    const { testEverything } = await import("./commands/test.ts");
    process.exitCode = await testEverything(files, flags);
  });

program.addCommand(completionCommand());

for (const command of [program, ...program.commands]) {
  command
    .option("--name <name>", "which lab; several run side by side (default: lab)")
    .addOption(
      new Option("--subnet <a.b.c.0/24>", "the machines' network, when the lab's own is taken").argParser(
        prefixOf,
      ),
    )
    .option("-q, --quiet", "no progress on standard error");
}
await answerScripts(program);
let global: Global = {};
program.hook("preAction", (_, command) => {
  global = { ...program.opts<Global>(), ...command.opts<Global>() };
});

watchInterrupts();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
// The lock and what a cancelled task left behind must not keep the command from ending.
process.exit();

function report(error: unknown): number {
  if (isInterrupted()) {
    console.error("\nlab: interrupted. What is done stays; the same command goes on from there.");
    return 8;
  }
  if (isOfFileSystem(error)) {
    console.error(`lab: ${error.message}`);
    return 1;
  }
  if (!(error instanceof LabError)) throw error;
  console.error(`lab: ${error.message}`);
  return error.exitCode;
}

/** A disk that is full, read-only or another user's: the message names the path, and a stack would say no more. */
function isOfFileSystem(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return error instanceof Error && ["ENOSPC", "EDQUOT", "EROFS", "EACCES"].includes(String(code));
}

/** A command that hands its arguments to a program in the lab's environment and ends as that does. */
function tool(name: string, description: string, commandLine: (lab: Instance) => Promise<string[]>): void {
  program
    .command(name)
    .description(description)
    .argument("[args...]")
    .helpOption(false)
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (args: string[]) => {
      const lab = await running();
      const [command = name, ...first] = await commandLine(lab);
      process.exitCode = await passThrough(command, [...first, ...args], {
        cwd: PROGRAM,
        env: labEnvironment(lab),
      });
    });
}

/** Runs the action on the chosen lab while no other command changes it. */
async function exclusively(action: (lab: Instance, global: Global) => Promise<void>): Promise<void> {
  const lab = await chosen();
  const refuse = () => {
    throw new LabError(`another ./lab command is changing lab "${lab.name}"; wait for it to end`);
  };
  const lock = join(stateHome(), `${lab.name}.lock`);
  await withLock(lock, refuse, async () => {
    try {
      await action(lab, global);
    } finally {
      if (!existsSync(lab.dir)) await rm(lock, { force: true });
    }
  });
}

async function chosen(): Promise<Instance> {
  const { name = "lab", subnet } = global;
  const fault = faultInName(name);
  if (fault) throw new LabError(fault, 2);
  if (process.getuid?.() !== 0) throw new LabError("the lab's machines are root's: run it with sudo");
  return findInstance(name, subnet);
}

async function running(): Promise<Instance> {
  const lab = await chosen();
  if (existsSync(adminKubeconfig(lab))) return lab;
  throw new LabError(
    `lab "${lab.name}" is not up; start it with: ./lab up${lab.name === "lab" ? "" : ` --name ${lab.name}`}`,
  );
}

async function outputsOf(lab: Instance) {
  const outputs = await stackOutputs(lab);
  if (!outputs) throw new LabError(`the stack of lab "${lab.name}" is not up; run: ./lab up`);
  return outputs;
}

async function probeDefaults() {
  const lab = await running();
  return pageOf(lab, await outputsOf(lab));
}

async function shiftLab() {
  const lab = await running();
  const outputs = await outputsOf(lab);
  return {
    ...(await pageOf(lab, outputs)),
    pulumi: (args: string[]) => pulumiOnTerminal(lab, args),
    kubeconfig: adminKubeconfig(lab),
    namespace: outputs.namespace,
  };
}

async function mergeKubeconfig(lab: Instance): Promise<void> {
  const { mergeInto } = await import("./commands/kubeconfigMerge.ts");
  const file = await mergeInto(adminKubeconfig(lab));
  console.error(`lab: merged into ${file}; use it with: kubectl --context istio-lab-${lab.name}`);
}

function prefixOf(subnet: string): string {
  const match = /^(\d{1,3}\.\d{1,3}\.\d{1,3})\.0\/24$/.exec(subnet);
  const prefix = match?.[1];
  if (!prefix?.split(".").every((octet) => Number(octet) < 256)) {
    throw new LabError(`--subnet "${subnet}": give a /24 such as 10.211.7.0/24`, 2);
  }
  return prefix;
}
