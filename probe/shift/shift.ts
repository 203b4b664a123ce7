/** `./lab shift`: changes the weights and tells, from a steady stream of requests, how long the old shares were still served. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { LabError } from "../../clients/process.ts";
import { type ProbeResult, probe, resultOf, tally } from "../probe.ts";
import { renderReport, renderResolution } from "../render.ts";
import { RequestStream } from "../stream.ts";
import { parseWeights } from "../weights.ts";
import { estimateShift, measureShift, parseAccessLog, type RoutedRequest, type ShiftTimes } from "./time.ts";
import type { Routing, RoutingChange, RoutingWatch } from "./watch.ts";

/** What a shift needs to know and do; a lab that is up. */
export interface ShiftLab {
  /** The page's address through the load balancer. */
  url: string;
  /** Host header. */
  host: string;
  /** Authorities to trust besides Node's and the system's, in PEM. @default none */
  ca?: string | undefined;
  /** The page of each version. */
  pages: Record<string, string>;
  /** Runs Pulumi on the lab's stack, what it prints going to stderr; rejects when it fails. */
  pulumi(args: string[]): Promise<unknown>;
  /** Path of the lab's kubeconfig. */
  kubeconfig: string;
  /** Namespace of the app and its VirtualService. */
  namespace: string;
}

/** What was seen while the weights changed. */
export interface ShiftObservation {
  /** Null when the VirtualService did not change: there was nothing to shift. */
  times: ShiftTimes | null;
  /** Requests sent meanwhile. */
  requests: number;
  /** Of these, how many failed, and why. */
  failed: number;
  failures: Record<string, number>;
}

/** Requests a second: one every 5 ms, so that no moment is known less exactly than that. */
const RATE = 200;
/** Requests in the probe that shows the new split. */
const PROBE_REQUESTS = 400;
/** The shift is over when the gateway has logged no request of the old route for so long, in milliseconds. */
const QUIET = 1000;
/** How long to wait for that, in milliseconds after the update. */
const PATIENCE = 15_000;
/** A log that tells no routes so long after the update never will, in milliseconds; istio-proxy writes it out each second. */
const NO_LOG = 4000;

/**
 * Changes the weights, and prints what was seen and the new split.
 * @param words a weight for each version, such as `v116=20`
 * @returns whether the split is as configured and no request failed
 */
export async function shift(lab: ShiftLab, words: string[], flags: { json?: true }): Promise<boolean> {
  const { url, host, ca, pages } = lab;
  const weights = readWeights(words, Object.keys(pages));
  const observation = await observeShift(lab, () => applyWeights(lab, weights));
  const report = await probe({ url, host, ca, pages, weights, requests: PROBE_REQUESTS });
  if (flags.json) {
    console.log(
      JSON.stringify({ weights, shift: observation, probe: resultOf(report) satisfies ProbeResult }),
    );
  } else {
    console.log(renderReport(report));
    console.log(renderObservation(observation));
    console.error(renderResolution(report));
  }
  return report.ok && observation.failed === 0;
}

function readWeights(words: string[], versions: string[]): Record<string, number> {
  const { weights, faults } = parseWeights(words, versions);
  if (faults.length > 0) throw new LabError(faults.join("\n"), 2);
  return weights;
}

async function applyWeights(lab: ShiftLab, weights: Record<string, number>): Promise<void> {
  const settings = Object.entries(weights).flatMap(([version, weight]) => [
    "--plaintext",
    `weights.${version}=${weight}`,
  ]);
  await lab.pulumi(["config", "set-all", "--path", ...settings]);
  await lab.pulumi(["up", "--yes", "--skip-preview"]);
}

/**
 * Sends a steady stream of requests while `change` runs, and until the last request with the old shares is past.
 *
 * @param change whatever changes the VirtualService: `pulumi up`, kubectl, anything.
 */
export async function observeShift(
  lab: Pick<ShiftLab, "url" | "host" | "ca" | "pages" | "kubeconfig" | "namespace">,
  change: () => Promise<unknown>,
): Promise<ShiftObservation> {
  const { RoutingWatch, gatewayLog } = await import("./watch.ts");
  const { url, host, ca, pages } = lab;
  const userAgent = `istio-lab-shift/${randomUUID()}`;
  const watch = new RoutingWatch(lab.kubeconfig, lab.namespace);
  const { before, changed } = await watch.start();
  const startedAt = Date.now();
  const stream = new RequestStream({ url, host, ca, pages, rate: RATE, userAgent }).start();
  try {
    await change();
    const after = await changeMade(watch, before, changed);
    const logged = after
      ? await awaitQuiet(after, before, async () =>
          parseAccessLog(await gatewayLog(lab.kubeconfig, startedAt), userAgent),
        )
      : [];
    const answers = await stream.stop();
    const { requests, failed, failures } = tally(answers, { pages, weights: {} });
    const times = after ? (exactTimes(logged, before, after) ?? estimate(answers, before, after)) : null;
    return { times, requests, failed, failures };
  } finally {
    await stream.stop();
    watch.stop();
  }
}

/** The change as the watch saw it, or undefined when the object is still what it was. */
async function changeMade(
  watch: RoutingWatch,
  before: Routing,
  changed: Promise<RoutingChange>,
): Promise<RoutingChange | undefined> {
  return (await watch.current()).generation === before.generation ? undefined : await changed;
}

/** Reads the log again and again until the newest request is well past the last one of the old route. */
async function awaitQuiet(
  after: RoutingChange,
  before: Routing,
  readLog: () => Promise<RoutedRequest[]>,
): Promise<RoutedRequest[]> {
  for (;;) {
    const logged = await readLog();
    const sinceChange = Date.now() - after.at;
    const times = exactTimes(logged, before, after);
    if (!times && sinceChange > NO_LOG) return [];
    const newest = logged.reduce((time, request) => Math.max(time, request.time), 0);
    const quiet = times?.firstNewMs != null && newest - after.at > Math.max(times.lastOldMs ?? 0, 0) + QUIET;
    if (quiet || sinceChange > PATIENCE) return logged;
    await delay(250);
  }
}

/** Undefined when the log cannot tell: there is none, or the routes have no names, or the same. */
function exactTimes(logged: RoutedRequest[], before: Routing, after: RoutingChange): ShiftTimes | undefined {
  if (logged.length === 0 || !before.name || !after.name || before.name === after.name) return undefined;
  return measureShift(logged, after.at, { before: before.name, after: after.name });
}

function estimate(
  answers: Parameters<typeof estimateShift>[0],
  before: Routing,
  after: RoutingChange,
): ShiftTimes {
  return estimateShift(answers, after.at, { before: before.weights, after: after.weights });
}

/** The observation in words. No line break at the end. */
export function renderObservation({ times, requests, failed, failures }: ShiftObservation): string {
  const reasons = Object.entries(failures).map(([reason, count]) => `${count} ${reason}`);
  const traffic = `${requests} requests meanwhile, ${failed === 0 ? "none failed" : `${failed} failed: ${reasons.join(", ")}`}`;
  if (times === null) return `the VirtualService had these weights already; ${traffic}`;
  const { method, firstNewMs, lastOldMs, between } = times;
  return [
    "after the update of the VirtualService:",
    `  first request with the new shares  ${milliseconds(firstNewMs)}`,
    `  last request with the old shares   ${milliseconds(lastOldMs)}`,
    method === "access log"
      ? "  by the route's name in the ingress gateway's access log"
      : `  an estimate from the answers alone${between ? `, between ${between[0]} and ${between[1]} ms` : ""}: no route names in the gateway's access log`,
    traffic,
  ].join("\n");
}

function milliseconds(time: number | null): string {
  return time === null ? "none seen" : `${time} ms`;
}
