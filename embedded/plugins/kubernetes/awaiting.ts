/** Waits until an object is what its kind promises: a rollout done, a Service with endpoints, a thing gone. */
import { setTimeout as delay } from "node:timers/promises";
import { isObject, type Properties, type Value } from "../values.ts";
import { type Api, ApiError, isNotFound, type KubernetesObject, type Reference, referenceTo } from "./api.ts";
import { ANNOTATIONS, annotation } from "./objects.ts";

/** As the official provider; in seconds. */
const DEFAULT_TIMEOUT_SECONDS = 600;

export interface Waiting {
  api: Api;
  /** Ends the wait when the user interrupts. */
  signal: AbortSignal;
  timeoutSeconds: number;
  onStatus(text: string): void;
}

/** The object was written but did not become ready; the reasons name its pods where there are any. */
export class NotReady extends Error {
  readonly live: KubernetesObject;
  readonly reasons: string[];
  constructor(message: string, live: KubernetesObject, reasons: string[]) {
    super(message);
    this.live = live;
    this.reasons = reasons;
  }
}

/** From the resource option customTimeouts, else the annotation, else ten minutes. */
export function timeoutOf(inputs: Properties, customSeconds: number): number {
  if (customSeconds > 0) return customSeconds;
  const annotated = Number(annotation(inputs, ANNOTATIONS.timeoutSeconds));
  return annotated > 0 ? annotated : DEFAULT_TIMEOUT_SECONDS;
}

/**
 * @param written the object as the server answered the write
 * @returns the object as it is when ready
 * @throws NotReady
 */
export async function untilReady(written: KubernetesObject, waiting: Waiting): Promise<KubernetesObject> {
  const judge = READINESS[`${written.apiVersion}/${written.kind}`];
  if (judge === undefined) return written;
  const what = judge === judgeService && !isBalancerPending(written) ? "endpoints" : "object";
  const wait = new Deadline(waiting);
  let live = written;
  let said: string | undefined;
  try {
    for await (live of observe(waiting.api, referenceTo(written), what, wait.signal)) {
      const verdict = await judge(live, waiting.api);
      if (verdict.ready) return live;
      if (verdict.failed !== undefined)
        throw new NotReady(verdict.failed, live, await podTroubles(waiting.api, live));
      if (verdict.status !== said) waiting.onStatus(verdict.status);
      said = verdict.status;
    }
    throw new NotReady(`'${written.metadata.name}' was deleted while it was waited for`, live, []);
  } catch (error) {
    if (!wait.signal.aborted) throw error;
    const how = waiting.signal.aborted ? "was canceled while waiting" : "timed out waiting";
    const message = `'${written.metadata.name}' ${how} to be Ready${said === undefined ? "" : `: ${said}`}`;
    throw new NotReady(message, live, await podTroubles(waiting.api, live));
  } finally {
    wait.end();
  }
}

/** @throws when it is still there at the end of the time */
export async function untilGone(reference: Reference, waiting: Waiting): Promise<void> {
  const wait = new Deadline(waiting);
  try {
    for await (const live of observe(waiting.api, reference, "object", wait.signal)) {
      const finalizers = live.metadata.finalizers;
      if (Array.isArray(finalizers) && finalizers.length > 0)
        waiting.onStatus(
          `Waiting for finalizers ${finalizers.map((each) => JSON.stringify(each)).join(", ")}`,
        );
    }
  } catch (error) {
    if (!wait.signal.aborted) throw error;
    const what = waiting.signal.aborted ? "canceled" : `timed out after ${waiting.timeoutSeconds} s`;
    throw new Error(`${what} while waiting for ${reference.kind} "${reference.name}" to be deleted`);
  } finally {
    wait.end();
  }
}

/** An abort signal that fires at the user's interrupt or at the end of the time. */
class Deadline {
  readonly signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;

  constructor({ signal, timeoutSeconds }: Waiting) {
    const timeout = new AbortController();
    this.#timer = setTimeout(() => timeout.abort(), timeoutSeconds * 1000);
    this.signal = AbortSignal.any([signal, timeout.signal]);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

const REWATCH_MS = 250;

/**
 * The object now and after every change, until it is gone.
 * @param what whether it is the object that changes or the endpoints of it, a Service
 */
async function* observe(
  api: Api,
  reference: Reference,
  what: "object" | "endpoints",
  signal: AbortSignal,
): AsyncGenerator<KubernetesObject> {
  for (;;) {
    let live: KubernetesObject;
    try {
      const endpoints = what === "endpoints" ? await endpointSlices(api, reference) : undefined;
      live = await api.get(reference);
      yield live;
      const changes =
        endpoints === undefined
          ? api.watch(reference, { fieldSelector: `metadata.name=${reference.name}` }, version(live), signal)
          : api.watch(endpoints.collection, endpoints.query, endpoints.resourceVersion, signal);
      for await (const event of changes) {
        // An error says that the version is too old to watch from: read anew, as for another object's change.
        if (event.type === "ERROR" || endpoints !== undefined) break;
        if (event.type === "DELETED") return;
        if (event.type !== "BOOKMARK") yield event.object;
      }
    } catch (error) {
      if (signal.aborted) throw error;
      if (isNotFound(error)) return;
      if (!(error instanceof ApiError) || (error.code !== 410 && error.code < 500)) throw error;
    }
    await delay(REWATCH_MS, undefined, { signal });
  }
}

async function endpointSlices(api: Api, { name, namespace }: Reference) {
  const collection = { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", namespace };
  const query = { labelSelector: `kubernetes.io/service-name=${name}` };
  return { collection, query, ...(await api.list(collection, query)) };
}

function version({ metadata: { resourceVersion } }: KubernetesObject): string {
  return resourceVersion ?? "0";
}

interface Verdict {
  ready: boolean;
  /** It will not become ready by waiting. */
  failed?: string;
  status: string;
}
type Judge = (live: KubernetesObject, api: Api) => Verdict | Promise<Verdict>;

/** Kinds that are not here are ready when they are written. */
const READINESS: Record<string, Judge> = {
  "apps/v1/Deployment": judgeDeployment,
  "apps/v1/StatefulSet": judgeStatefulSet,
  "apps/v1/DaemonSet": judgeDaemonSet,
  "batch/v1/Job": judgeJob,
  "v1/Pod": judgePod,
  "v1/Service": judgeService,
};

function judgeDeployment(live: KubernetesObject): Verdict {
  const { spec, status } = parts(live);
  const wanted = number(spec.replicas, 1);
  const available = Math.min(number(status.availableReplicas), number(status.updatedReplicas));
  const verdict = { ready: false, status: replicasText("ReplicaSet", available, wanted) };
  if (!observed(live)) return { ready: false, status: "Waiting for the Deployment controller" };
  const progressing = condition(live, "Progressing");
  if (progressing?.status === "False")
    return { ...verdict, failed: `[${String(progressing.reason)}] ${String(progressing.message)}` };
  const done =
    number(status.updatedReplicas) === wanted &&
    number(status.replicas) === wanted &&
    number(status.availableReplicas) >= wanted;
  return { ...verdict, ready: done && (wanted === 0 || condition(live, "Available")?.status === "True") };
}

function judgeStatefulSet(live: KubernetesObject): Verdict {
  const { spec, status } = parts(live);
  const wanted = number(spec.replicas, 1);
  const ready = number(status.readyReplicas);
  const done = observed(live) && ready === wanted && number(status.updatedReplicas, wanted) === wanted;
  return { ready: done, status: replicasText("StatefulSet", ready, wanted) };
}

function judgeDaemonSet(live: KubernetesObject): Verdict {
  const { status } = parts(live);
  const wanted = number(status.desiredNumberScheduled);
  const ready = Math.min(number(status.numberAvailable), number(status.updatedNumberScheduled));
  return { ready: observed(live) && ready >= wanted, status: replicasText("DaemonSet", ready, wanted) };
}

function judgeJob(live: KubernetesObject): Verdict {
  const failed = condition(live, "Failed");
  const verdict = {
    ready: condition(live, "Complete")?.status === "True",
    status: "Waiting for the Job to complete",
  };
  return failed?.status === "True"
    ? { ...verdict, failed: `[${String(failed.reason)}] ${String(failed.message)}` }
    : verdict;
}

function judgePod(live: KubernetesObject): Verdict {
  const { status } = parts(live);
  const ready = condition(live, "Ready")?.status === "True" || status.phase === "Succeeded";
  const verdict = { ready, status: `Waiting for the Pod, which is ${String(status.phase ?? "new")}` };
  return status.phase === "Failed"
    ? { ...verdict, failed: `the Pod has failed: ${String(status.message ?? "")}` }
    : verdict;
}

/**
 * The official provider waits until the endpoints have not changed for ten seconds and none is pending. Here they
 * need not settle: a Service is ready as soon as no endpoint is pending.
 */
async function judgeService(live: KubernetesObject, api: Api): Promise<Verdict> {
  const { spec } = parts(live);
  if (isBalancerPending(live)) return { ready: false, status: "Waiting for an address of the load balancer" };
  const selects = isObject(spec.selector) && Object.keys(spec.selector).length > 0;
  if (!selects || spec.clusterIP === "None" || spec.type === "ExternalName")
    return { ready: true, status: "" };
  const { items } = await endpointSlices(api, referenceTo(live));
  const endpoints = items.flatMap((slice) => (slice.endpoints ?? []) as Properties[]);
  const pending = endpoints.some(({ conditions }) => isObject(conditions) && conditions.ready === false);
  return { ready: items.length > 0 && !pending, status: "Finding Pods to direct traffic to" };
}

/** An external load balancer takes minutes, in which the endpoints come by themselves. */
function isBalancerPending(live: KubernetesObject): boolean {
  const { spec, status } = parts(live);
  const ingress = isObject(status.loadBalancer) ? status.loadBalancer.ingress : undefined;
  return spec.type === "LoadBalancer" && !(Array.isArray(ingress) && ingress.length > 0);
}

function replicasText(what: string, ready: number, wanted: number): string {
  return `Waiting for app ${what} to be available (${ready}/${wanted} Pods available)`;
}

/** What is wrong with the pods that a workload selects, as far as the kubelet has said. */
async function podTroubles(api: Api, live: KubernetesObject): Promise<string[]> {
  const { selector } = parts(live).spec;
  const labels = isObject(selector) && isObject(selector.matchLabels) ? selector.matchLabels : undefined;
  if (labels === undefined) return [];
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(",");
  const collection = { apiVersion: "v1", kind: "Pod", namespace: live.metadata.namespace };
  try {
    const { items } = await api.list(collection, { labelSelector });
    return items.flatMap(podTrouble);
  } catch {
    // The reasons explain a failure; not getting them must not hide it.
    return [];
  }
}

function podTrouble(pod: KubernetesObject): string[] {
  const { status } = parts(pod);
  const name = `[Pod ${pod.metadata.namespace}/${pod.metadata.name}]`;
  const containers = [status.initContainerStatuses, status.containerStatuses]
    .flatMap((list) => (Array.isArray(list) ? list : []))
    .filter(isObject);
  const waiting = containers.flatMap((container) => {
    const state = isObject(container.state) ? container.state : {};
    const cause = isObject(state.waiting)
      ? state.waiting
      : isObject(state.terminated)
        ? state.terminated
        : undefined;
    if (cause?.reason === undefined || cause.reason === "Completed" || cause.reason === "PodInitializing")
      return [];
    return [
      `${name}: container "${String(container.name)}": [${String(cause.reason)}] ${String(cause.message ?? "")}`,
    ];
  });
  const scheduled = condition(pod, "PodScheduled");
  if (scheduled?.status === "False")
    waiting.push(`${name}: [${String(scheduled.reason)}] ${String(scheduled.message)}`);
  return waiting;
}

function observed({ metadata, status }: KubernetesObject): boolean {
  return isObject(status) && number(status.observedGeneration) >= number(metadata.generation);
}

function condition(live: KubernetesObject, type: string): Record<string, Value> | undefined {
  const { conditions } = parts(live).status;
  if (!Array.isArray(conditions)) return undefined;
  return conditions.filter(isObject).find((each) => each.type === type);
}

function parts({ spec, status }: KubernetesObject) {
  return { spec: isObject(spec) ? spec : {}, status: isObject(status) ? status : {} };
}

function number(value: Value | undefined, otherwise = 0): number {
  return typeof value === "number" ? value : otherwise;
}
