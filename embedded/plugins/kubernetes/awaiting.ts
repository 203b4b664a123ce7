/** Waits until an object is ready or gone; judges an object at a refresh. */
import { isObject } from "../values.ts";
import type { Cluster, KubernetesObject, Reference } from "./cluster.ts";
import { Observation } from "./observation.ts";
import { podFaults, RULES, type Verdict } from "./readiness.ts";

/** As the official provider; in seconds. */
const DEFAULT_TIMEOUT_SECONDS = 600;
/** How often the faults of pods are shown. */
const POD_FAULTS_MS = 10_000;

export interface Waiting {
  readonly cluster: Cluster;
  /** Fires when the user interrupts. */
  readonly signal: AbortSignal;
  readonly timeoutSeconds: number;
  onStatus(text: string, severity: "info" | "warning"): void;
}

/** The object was written but is not ready. */
export class NotReady extends Error {
  readonly live: KubernetesObject;
  readonly reasons: readonly string[];
  constructor(message: string, live: KubernetesObject, reasons: readonly string[]) {
    super(message);
    this.live = live;
    this.reasons = reasons;
  }
}

/** From the resource option customTimeouts, else ten minutes. */
export function timeoutOf(customSeconds: number): number {
  return customSeconds > 0 ? customSeconds : DEFAULT_TIMEOUT_SECONDS;
}

/**
 * Where a list or a watch is forbidden, the wait fails at once. The official provider waits until the time is
 * over.
 * @param written the object as the server answered the write
 * @returns the object as it is when ready
 * @throws NotReady
 */
export async function untilReady(written: KubernetesObject, waiting: Waiting): Promise<KubernetesObject> {
  const rule = RULES[`${written.apiVersion}/${written.kind}`];
  if (rule === undefined) return written;
  const { name, namespace } = written.metadata;
  const limit = deadline(waiting);
  const observation = new Observation(
    waiting.cluster,
    rule.kinds.map((kind) => ({ ...kind, namespace })),
    limit,
  );
  let live = written;
  let verdict: Verdict = { ready: false, statuses: [], reasons: [] };
  try {
    for (let nextFaults = performance.now() + POD_FAULTS_MS; ; ) {
      live = observation.of(written.kind)?.find(({ metadata }) => metadata.name === name) ?? live;
      verdict = rule.judge(live, (kind) => observation.of(kind), written);
      if (verdict.ready) return live;
      for (const { text, severity } of verdict.statuses) waiting.onStatus(text, severity);
      await observation.change(Math.max(nextFaults - performance.now(), 1));
      if (performance.now() < nextFaults) continue;
      nextFaults += POD_FAULTS_MS;
      for (const text of faultsOfPods(live, observation)) waiting.onStatus(text, "warning");
    }
  } catch (error) {
    throw new NotReady(endOfWait(`${name}`, error, waiting, limit), live, verdict.reasons);
  } finally {
    observation.end();
  }
}

function endOfWait(name: string, error: unknown, { signal }: Waiting, limit: AbortSignal): string {
  if (signal.aborted) return `Resource operation was cancelled for "${name}"`;
  if (limit.aborted) return `'${name}' timed out waiting to be Ready`;
  return `'${name}' cannot be waited for: ${(error as Error).message}`;
}

function faultsOfPods(live: KubernetesObject, observation: Observation): string[] {
  const selector = isObject(live.spec) && isObject(live.spec.selector) ? live.spec.selector : {};
  const labels = Object.entries(isObject(selector.matchLabels) ? selector.matchLabels : {});
  if (labels.length === 0) return [];
  return (observation.of("Pod") ?? [])
    .filter(({ metadata }) => labels.every(([key, value]) => metadata.labels?.[key] === value))
    .flatMap(podFaults);
}

/**
 * Judges a live object at a refresh.
 * @throws NotReady
 */
export async function requireReady(live: KubernetesObject, cluster: Cluster): Promise<void> {
  const rule = RULES[`${live.apiVersion}/${live.kind}`];
  if (rule === undefined) return;
  const { name, namespace } = live.metadata;
  const related = await Promise.all(
    rule.kinds.map(async (kind) => {
      // A forbidden list counts as an empty one.
      const list = await cluster.list({ ...kind, namespace }).catch(() => ({ items: [] }));
      return [kind.kind, list.items] as const;
    }),
  );
  const known = new Map<string, KubernetesObject[]>(related);
  const { ready, reasons } = rule.judge(live, (kind) => known.get(kind), live);
  if (ready) return;
  throw new NotReady(`Resource '${name}' was created but failed to initialize`, live, reasons);
}

/** Needs list and watch on the object's kind. @throws Error when the object outlives the time limit */
export async function untilGone(reference: Reference, waiting: Waiting): Promise<void> {
  const limit = deadline(waiting);
  const observation = new Observation(waiting.cluster, [reference], limit);
  let live: KubernetesObject | undefined;
  try {
    for (;;) {
      const all = observation.of(reference.kind);
      live = all?.find(({ metadata }) => metadata.name === reference.name) ?? (all ? undefined : live);
      if (all !== undefined && live === undefined) return;
      await observation.change(waiting.timeoutSeconds * 1000);
    }
  } catch (error) {
    if (!limit.aborted) throw error;
    const { finalizers } = live?.metadata ?? {};
    if (Array.isArray(finalizers) && finalizers.length > 0)
      waiting.onStatus(`finalizers might be preventing deletion (${finalizers.join(", ")})`, "warning");
    if (waiting.signal.aborted) throw new Error(`Resource operation was cancelled for "${reference.name}"`);
    throw new Error(
      `timed out after ${waiting.timeoutSeconds} s while waiting for ${reference.kind} "${reference.name}" ` +
        "to be deleted",
    );
  } finally {
    observation.end();
  }
}

function deadline({ signal, timeoutSeconds }: Waiting): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000)]);
}
