import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { LabError } from "../../clients/process.ts";
import type { ProbeDefaults } from "../../probe/command.ts";
import { type ProbeReport, probe } from "../../probe/probe.ts";
import { renderReport, renderResolution } from "../../probe/render.ts";
import { requireRoom } from "../host/disk.ts";
import { requireInotify } from "../host/inotify.ts";
import { runTasks } from "../host/progress.ts";
import { requireFreeSubnet } from "../host/subnet.ts";
import type { Instance } from "../instance.ts";
import { httpsFiles } from "../lab/certificate.ts";
import { roomForMachines, startTasks } from "../lab/lab.ts";
import { choosePlugins, type Plugin, pluginWarnings } from "../lab/plugins.ts";
import { initStack, pageOf, pulumiOnTerminal, stackOutputs } from "../lab/stack.ts";
import { ensureToolchain } from "../toolchain/toolchain.ts";

/** Requests of the probe that ends an `up`. */
const PROBE_REQUESTS = 400;

/** Brings the lab up from whatever state it is in, and shows the split. */
export async function up(
  lab: Instance,
  { quiet, program }: { quiet: boolean; program: boolean },
): Promise<void> {
  const note = (line: string) => {
    if (!quiet) console.error(`lab: ${line}`);
  };
  // Before an hour of building, not after it.
  await requireFreeSubnet(lab);
  await requireRoom(lab.dir, await roomForMachines(lab), "XDG_STATE_HOME");
  await requireInotify(lab);
  const tools = await ensureToolchain((tasks) => runTasks(tasks, { quiet }), note);
  let plugins: Plugin[] = [];
  await runTasks(
    [
      ...startTasks(lab, tools),
      {
        title: "Pulumi stack",
        task: async (_, task) => {
          plugins = await choosePlugins(lab, join(tools.pulumi, "pulumi"), (line) => {
            task.output = line;
          });
          await initStack(lab);
        },
      },
    ],
    { quiet },
  );
  note(describePlugins(plugins));
  for (const line of pluginWarnings(plugins)) console.error(`lab: ${line}`);
  if (!program) return;
  await pulumiOnTerminal(lab, ["up", "--yes", "--skip-preview", ...(quiet ? ["--suppress-progress"] : [])]);
  await showSplit(lab, note);
}

/** One line that says which plugins a run uses. */
export function describePlugins(plugins: readonly Plugin[]): string {
  const names = (official: boolean) =>
    plugins.filter((plugin) => plugin.official === official).map(({ name }) => name);
  const parts = [
    names(true).length > 0 ? `official: ${names(true).join(", ")}` : "",
    names(false).length > 0
      ? `stand-ins of this project, for machines that reach package registries only: ${names(false).join(", ")}`
      : "",
  ];
  return `Pulumi plugins: ${parts.filter(Boolean).join("; ")}`;
}

async function showSplit(lab: Instance, note: (line: string) => void): Promise<void> {
  const outputs = await stackOutputs(lab);
  if (!outputs) throw new LabError("pulumi up succeeded, but the stack tells no outputs");
  const page = await pageOf(lab, outputs);
  await firstAnswer(page);
  const report = await settledSplit(page, note);
  const { address } = lab.loadBalancer;
  console.log(`${outputs.url}\n`);
  console.log(`For a browser on this host, add to /etc/hosts:\n${address} ${outputs.host}\n`);
  if (outputs.url.startsWith("https:")) {
    const curl = `curl --cacert ${httpsFiles(lab).authority} --resolve ${outputs.host}:443:${address} ${outputs.url}`;
    console.log(
      `The lab's own authority has signed its certificate; trust it there, or for one request:\n${curl}\n`,
    );
  }
  console.log(renderReport(report));
  note(renderResolution(report));
  if (!report.ok) process.exitCode = 1;
}

/** The newest probe: the first one that is as configured, or else one of half a minute later. */
async function settledSplit(page: ProbeDefaults, note: (line: string) => void): Promise<ProbeReport> {
  const deadline = performance.now() + 30_000;
  for (let first = true; ; first = false) {
    const report = await probe({ ...page, requests: PROBE_REQUESTS });
    if (report.ok || performance.now() > deadline) return report;
    // Pods that are new, of a machine that was started again say, are not known everywhere at once.
    if (first) note("the split is not as configured yet; asking again for 30 s");
    await setTimeout(1000);
  }
}

/** The gateway's pods may still be starting when Pulumi is done: nothing in the program needs them. */
async function firstAnswer(page: ProbeDefaults): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { failed, failures } = await probe({ ...page, requests: 1 });
    if (failed === 0) return;
    if (performance.now() > deadline) {
      throw new LabError(
        `${page.url} with Host ${page.host} does not answer: ${Object.keys(failures).join(", ")}. Look at: ./lab status`,
      );
    }
    await setTimeout(50);
  }
}
