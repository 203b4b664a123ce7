/**
 * Changes the weights and measures, with a steady stream of requests, for how long the old shares were
 * served.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ApiError, KubectlError, KubernetesApi, NoAnswer, type Selection } from "../../clients/kubernetes.ts";
import { LabError } from "../../clients/process.ts";
import { upWith, weightSettings } from "../../clients/pulumi.ts";
import type { Page } from "../../outputs.ts";
import type { ProbeResult } from "../probe.ts";
import { renderReport, renderResolution } from "../render.ts";
import type { RequestStream } from "../stream.ts";
import { parseWeights } from "../weights.ts";
import { measureShift, parseAccessLog, type RoutedRequest, type ShiftTimes } from "./time.ts";
import { gatewayLog, type RoutingChange, type RoutingState, RoutingWatch } from "./watch.ts";

/** Where a shift is watched: the page, and the cluster that serves it. */
export interface ShiftTarget extends Omit<Page, "weights"> {
  /** Authorities to trust besides Node's and the system's, in PEM. @default none */
  ca?: string | undefined;
  /** The cluster, as its administrator. */
  cluster: Selection;
  /** Namespace of the application and its VirtualService. */
  namespace: string;
}

/** A stack that is up, to be shifted. */
export interface ShiftLab extends ShiftTarget {
  /** Runs Pulumi on the stack, its output going to stderr; rejects when it fails. */
  pulumi(args: string[]): Promise<unknown>;
  /** Loads what `pulumi` needs. */
  prepare?(): Promise<unknown>;
}

/** The observation of a change of weights. */
export interface ShiftObservation {
  /** Null when the VirtualService did not change. */
  times: ShiftTimes | null;
  /** Requests sent meanwhile. */
  requests: number;
  /** Of these, how many failed, and why. */
  failed: number;
  failures: Record<string, number>;
}

/** Requests a second after the update: one every 5 ms, which limits how exactly a moment is known. */
const RATE = 200;
/** Requests a second until then: at 200, the update would be slower by a third on two cores. */
const RATE_BEFORE = 25;
/** Requests in the probe that shows the new split. */
const PROBE_REQUESTS = 400;
/** The shift is over when the gateway has logged no request of the old route for so long, in milliseconds. */
const QUIET = 1000;
/** How long to wait for that, in milliseconds after the update. */
const PATIENCE = 15_000;
/**
 * Milliseconds after the update in which a log has to name a route. Otherwise there is no log: istio-proxy
 * flushes it each second.
 */
const NO_LOG = 4000;

/**
 * Changes the weights, and prints what was seen and the new split.
 *
 * @param words a weight for each version, such as `v116=20`
 * @returns whether the split is as configured and no request failed
 */
export async function shift(lab: ShiftLab, words: string[], flags: { json?: true }): Promise<boolean> {
  const { url, host, ca, pages } = lab;
  const weights = readWeights(words, Object.keys(pages));
  const observing = observeShift(lab, () => lab.pulumi(upWith(weightSettings(weights))));
  // kubectl is starting meanwhile.
  void lab.prepare?.();
  const observation = await observing.catch(inWords);
  const { probe, resultOf } = await import("../probe.ts");
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

/** The user needs the words of the API server or kubectl; a stack would add nothing. */
function inWords(error: unknown): never {
  if (error instanceof KubectlError || error instanceof ApiError || error instanceof NoAnswer) {
    throw new LabError(`the cluster: ${error.message}`);
  }
  throw error;
}

function readWeights(words: string[], versions: string[]): Record<string, number> {
  const { weights, faults } = parseWeights(words, versions);
  if (faults.length > 0) throw new LabError(faults.join("\n"), 2);
  return weights;
}

/**
 * Sends a steady stream of requests while `change` runs, and until the old shares are no longer served.
 *
 * @param change changes the VirtualService, by any means
 */
export async function observeShift(
  target: ShiftTarget,
  change: () => Promise<unknown>,
): Promise<ShiftObservation> {
  const { url, host, ca, pages } = target;
  const userAgent = `istio-lab-shift/${randomUUID()}`;
  // The HTTP client loads while kubectl starts.
  const [api, { RequestStream }, { tally }] = await Promise.all([
    KubernetesApi.connect(target.cluster),
    import("../stream.ts"),
    import("../probe.ts"),
  ]);
  const watch = new RoutingWatch(api, target.namespace);
  let stream: RequestStream | undefined;
  try {
    const { before, changed } = await watch.start();
    const startedAt = Date.now();
    stream = new RequestStream({ url, host, ca, pages, rate: RATE_BEFORE, userAgent }).start();
    changed.then(
      () => stream?.changeRate(RATE),
      () => {},
    );
    await change();
    const after = await changeMade(watch, before, changed);
    const logged = after
      ? await awaitQuiet(after, before, async () =>
          parseAccessLog(await gatewayLog(api, startedAt), userAgent),
        )
      : [];
    const { requests, failed, failures } = tally(await stream.stop(), { pages, weights: {} });
    return { times: after ? (timesOf(logged, before, after) ?? NO_TIMES) : null, requests, failed, failures };
  } finally {
    await stream?.stop();
    watch.stop();
    await api.close();
  }
}

const NO_TIMES: ShiftTimes = { method: "no access log", firstNewMs: null, lastOldMs: null };

/** The change that the watch saw, or undefined when the object is unchanged. */
async function changeMade(
  watch: RoutingWatch,
  before: RoutingState,
  changed: Promise<RoutingChange>,
): Promise<RoutingChange | undefined> {
  return (await watch.current()).generation === before.generation ? undefined : await changed;
}

/** Reads the log again and again until the newest request is well past the last one of the old route. */
async function awaitQuiet(
  after: RoutingChange,
  before: RoutingState,
  readLog: () => Promise<RoutedRequest[]>,
): Promise<RoutedRequest[]> {
  for (;;) {
    const logged = await readLog();
    const sinceChange = Date.now() - after.at;
    const times = timesOf(logged, before, after);
    if (!times && sinceChange > NO_LOG) return [];
    const newest = logged.reduce((time, request) => Math.max(time, request.time), 0);
    const quiet = times?.firstNewMs != null && newest - after.at > Math.max(times.lastOldMs ?? 0, 0) + QUIET;
    if (quiet || sinceChange > PATIENCE) return logged;
    await delay(250);
  }
}

/** Undefined when there is no log, or when the routes have no names or the same one. */
function timesOf(
  logged: RoutedRequest[],
  before: RoutingState,
  after: RoutingChange,
): ShiftTimes | undefined {
  if (logged.length === 0 || !before.name || !after.name || before.name === after.name) return undefined;
  return measureShift(logged, after.at, { before: before.name, after: after.name });
}

/** The observation in words. No line break at the end. */
export function renderObservation({ times, requests, failed, failures }: ShiftObservation): string {
  const reasons = Object.entries(failures).map(([reason, count]) => `${count} ${reason}`);
  const traffic =
    `${requests} requests meanwhile, ` +
    `${failed === 0 ? "none failed" : `${failed} failed: ${reasons.join(", ")}`}`;
  if (times === null) return `the VirtualService had these weights already; ${traffic}`;
  if (times.method === "no access log") {
    return `the ingress gateway keeps no access log, so when the old shares ended is not known; ${traffic}`;
  }
  return [
    "after the update of the VirtualService:",
    `  first request with the new shares  ${milliseconds(times.firstNewMs)}`,
    `  last request with the old shares   ${milliseconds(times.lastOldMs)}`,
    "  by the route's name in the ingress gateway's access log",
    traffic,
  ].join("\n");
}

function milliseconds(time: number | null): string {
  return time === null ? "none seen" : `${time} ms`;
}
