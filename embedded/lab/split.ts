/** The end of an `up`: prints the page's address and the split that a client measures. */
import { setTimeout } from "node:timers/promises";
import { LabError } from "../../clients/process.ts";
import type { Outputs } from "../../outputs.ts";
import type { ProbeDefaults } from "../../probe/command.ts";
import { type ProbeReport, probe } from "../../probe/probe.ts";
import { renderReport, renderResolution } from "../../probe/render.ts";
import type { Instance } from "../host/instance.ts";
import { httpsFiles } from "./certificate.ts";
import { pageOf, requireOutputs } from "./stack.ts";

/** Requests of the probe. */
const PROBE_REQUESTS = 400;
/** Milliseconds in which the probe is repeated until the split is as configured. */
const SETTLING = 30_000;

/**
 * Prints the URL, the line for /etc/hosts, and the split. Sets the exit code when the split is not as
 * configured.
 */
export async function showSplit(lab: Instance, note: (line: string) => void): Promise<void> {
  const outputs = await requireOutputs(lab);
  const page = await pageOf(lab, outputs);
  await firstAnswer(page);
  const report = await settledSplit(page, note);
  console.log(addresses(lab, outputs));
  console.log(renderReport(report));
  note(renderResolution(report));
  if (!report.ok) process.exitCode = 1;
}

function addresses(lab: Instance, { url, host }: Outputs): string {
  const { address } = lab.loadBalancer;
  const lines = [url, "", "For a browser on this host, add to /etc/hosts:", `${address} ${host}`, ""];
  if (url.startsWith("https:")) {
    lines.push(
      "The lab's own authority signed the certificate. Trust it in the browser, or for one request:",
      `curl --cacert ${httpsFiles(lab).authority} --resolve ${host}:443:${address} ${url}`,
      "",
    );
  }
  return lines.join("\n");
}

/** The first probe with the configured split, or else the last one within {@link SETTLING}. */
async function settledSplit(page: ProbeDefaults, note: (line: string) => void): Promise<ProbeReport> {
  const deadline = performance.now() + SETTLING;
  for (let first = true; ; first = false) {
    const report = await probe({ ...page, requests: PROBE_REQUESTS });
    if (report.ok || performance.now() > deadline) return report;
    // Some proxies do not know new pods yet, for example those of a restarted machine.
    if (first) note(`the split is not as configured yet; probing again for ${SETTLING / 1000} s`);
    await setTimeout(1000);
  }
}

/** Waits for the pods of machines that were started again: an update without changes does not. */
async function firstAnswer(page: ProbeDefaults): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { failed, failures } = await probe({ ...page, requests: 1 });
    if (failed === 0) return;
    if (performance.now() > deadline) {
      const reasons = Object.keys(failures).join(", ");
      throw new LabError(
        `${page.url} with Host ${page.host} does not answer: ${reasons}. Look at: ./lab status`,
      );
    }
    await setTimeout(50);
  }
}
