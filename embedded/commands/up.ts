/** `./lab up`: brings the lab up from whatever state it is in, and shows the split. */
import { join } from "node:path";
import { Command, Option } from "commander";
import type { ListrTask } from "listr2";
import { LabError } from "../../clients/process.ts";
import { requireAll } from "../host/checks.ts";
import { requireRoom } from "../host/disk.ts";
import { requireInotify } from "../host/inotify.ts";
import { type Instance, MOST_WORKERS } from "../host/instance.ts";
import { group, runTasks } from "../host/progress.ts";
import { requireFreeSubnet } from "../host/subnet.ts";
import { clusterServes, roomForMachines, startTasks } from "../lab/lab.ts";
import { imagesOf } from "../lab/made.ts";
import { initStack } from "../lab/newStack.ts";
import { wantedImages } from "../lab/observability.ts";
import { choosePlugins, type Plugin, pluginWarnings } from "../lab/plugins.ts";
import { showSplit } from "../lab/split.ts";
import { pulumiOnTerminal } from "../lab/stack.ts";
import type { From } from "../toolchain/parts.ts";
import { ensureToolchain, type Wanted } from "../toolchain/toolchain.ts";
import type { Context } from "./context.ts";

/** Title of everything that the machines are made of. */
export const TOOLCHAIN = "binaries, root file systems and images";

export function upCommand(context: Context): Command {
  return new Command("up")
    .description("get what is needed, start the machines, run the Pulumi program, show the split")
    .option(
      "--no-program",
      "only start the machines: an empty cluster, and a load balancer without the lab's haproxy.cfg",
    )
    .addOption(
      new Option(
        "--from <kind>",
        "official: official binaries and images only; build: none (default: official where reachable)",
      ).choices(["official", "build"]),
    )
    .option(
      "--no-monitoring",
      "make a new lab without Prometheus and Zipkin; an existing lab keeps its settings",
    )
    .addOption(
      new Option("--workers <number>", `workers of a new lab, 1 to ${MOST_WORKERS} (default: 3)`).argParser(
        workersOf,
      ),
    )
    .action((flags: Omit<UpOptions, "quiet">) =>
      context.exclusively((lab) => up(lab, { quiet: context.quiet, ...flags }), flags.workers),
    );
}

function workersOf(text: string): number {
  const workers = Number(text);
  if (/^\d$/.test(text) && workers >= 1 && workers <= MOST_WORKERS) return workers;
  throw new LabError(`--workers "${text}": give a number from 1 to ${MOST_WORKERS}`, 2);
}

interface UpOptions {
  readonly quiet: boolean;
  /** Whether the Pulumi program runs. */
  readonly program: boolean;
  /** Whether a new lab gets Prometheus and Zipkin. */
  readonly monitoring: boolean;
  /** @default official artifacts where they are reachable */
  readonly from?: From;
  /** Number of workers. @default those that the lab has, or 3 */
  readonly workers?: number;
}

async function up(lab: Instance, options: UpOptions): Promise<void> {
  const { quiet, program, monitoring, from, workers = lab.workers.length } = options;
  if (workers !== lab.workers.length)
    throw new LabError(
      `lab "${lab.name}" has ${lab.workers.length} workers, not ${workers}: ` +
        "their number is chosen with the first ./lab up; take the lab down to choose again",
    );
  const note = (line: string) => {
    if (!quiet) console.error(`lab: ${line}`);
  };
  // Checked before an hour of building, not after it.
  await requireAll([
    () => requireFreeSubnet(lab),
    async () => requireRoom(lab.dir, await roomForMachines(lab), "XDG_STATE_HOME"),
    () => requireInotify(lab),
  ]);
  const wanted: Wanted = { ...(await wantedImages(lab, monitoring)), ...(from ? { from } : {}) };
  const tools = await ensureToolchain(
    (steps) => runTasks([group(TOOLCHAIN, steps)], { quiet }),
    note,
    wanted,
  );
  let plugins: Plugin[] = [];
  const stack: ListrTask = {
    title: "Pulumi stack",
    task: async (_, task) => {
      plugins = await choosePlugins(lab, join(tools.pulumi, "pulumi"), (line) => {
        task.output = line;
      });
      await initStack(lab, await imagesOf(lab, tools), { monitoring });
    },
  };
  const start = startTasks(lab, tools, { meanwhile: [stack], dns: !program });
  await runTasks([group(`machines of lab "${lab.name}"`, start)], { quiet });
  note(describePlugins(plugins));
  for (const line of pluginWarnings(plugins)) console.error(`lab: ${line}`);
  if (!program) return;
  // Istio starts beside the cluster's DNS, which its pods need only later.
  const serving = clusterServes(lab);
  serving.catch(() => undefined);
  await pulumiOnTerminal(lab, ["up", "--yes", "--skip-preview", ...(quiet ? ["--suppress-progress"] : [])]);
  await serving;
  await showSplit(lab, note);
}

/** One line that names the plugins of a run. */
export function describePlugins(plugins: readonly Plugin[]): string {
  const names = (official: boolean) =>
    plugins.filter((plugin) => plugin.official === official).map(({ name }) => name);
  const parts = [
    names(true).length > 0 ? `official: ${names(true).join(", ")}` : "",
    names(false).length > 0
      ? "stand-ins of this project, for machines that reach package registries only: " +
        `${names(false).join(", ")}`
      : "",
  ];
  return `Pulumi plugins: ${parts.filter(Boolean).join("; ")}`;
}
