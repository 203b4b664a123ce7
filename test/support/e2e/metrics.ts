/** Queries a lab's own Prometheus and Zipkin, through the API server's proxy. */
import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { query, type Sample } from "../../../dashboard/prometheus.ts";
import { proxyPath, type ServiceRef } from "../../../dashboard/source.ts";
import { initPid } from "../../../embedded/machines/machine.ts";
import { OBSERVABILITY_NAMESPACE } from "../../../mesh/observability.ts";
import type { KubernetesObject, TestLab } from "./harness.ts";
import { SOON } from "./soon.ts";

const inOwn = (service: string, port: number): ServiceRef => ({
  namespace: OBSERVABILITY_NAMESPACE,
  service,
  port,
});
const IN_OWN = [`--namespace=${OBSERVABILITY_NAMESPACE}`];
const PROMETHEUS = inOwn("prometheus", 9090);
const ZIPKIN = inOwn("zipkin", 9411);

const getter = (lab: TestLab, service: ServiceRef) => async (path: string) =>
  JSON.parse(await lab.kubectl("get", "--raw", `${proxyPath(service)}${path}`)) as unknown;

/** The values of an expression now. */
export function promql(lab: TestLab, expression: string): Promise<Sample[]> {
  return query(getter(lab, PROMETHEUS), expression, AbortSignal.timeout(30_000));
}

/** Waits for the next scrape of proxies and HAProxy: it counts all requests answered before the call. */
export async function allScraped(lab: TestLab): Promise<void> {
  const [now] = await promql(lab, "vector(time())");
  const scraped = `min(timestamp(up{job=~"istio-proxies|haproxy.*"})) > ${now?.value}`;
  const count = async () => (await promql(lab, scraped)).length;
  await expect.poll(count, SOON).toBe(1);
}

/** The pod of Prometheus: its node, and the host's path of its data directory. */
export async function prometheusPod(lab: TestLab): Promise<{ node: string; data: string }> {
  type Pod = KubernetesObject & {
    readonly metadata: KubernetesObject["metadata"] & { readonly deletionTimestamp?: string };
    readonly spec: { readonly nodeName?: string };
  };
  const pods = await lab.list<Pod>("pods", ...IN_OWN, "--selector=app=istio-lab-prometheus");
  const pod = pods.find(({ metadata }) => metadata.deletionTimestamp === undefined);
  const machine = lab.instance.workers.find(({ name }) => name === pod?.spec.nodeName);
  if (!pod || !machine) throw new Error("Prometheus has no pod on a worker");
  const root = `/proc/${await initPid(machine)}/root`;
  const data = `${root}/var/lib/kubelet/pods/${pod.metadata.uid}/volumes/kubernetes.io~empty-dir/data`;
  return { node: machine.name, data };
}

/** The image of the lab's own Prometheus. */
export async function prometheusImage(lab: TestLab): Promise<string> {
  interface Deployment extends KubernetesObject {
    readonly spec: { readonly template: { readonly spec: { readonly containers: { image: string }[] } } };
  }
  const { spec } = await lab.get<Deployment>("deployment", "prometheus", ...IN_OWN);
  return spec.template.spec.containers[0]?.image ?? "";
}

/** Deletes the pod of Prometheus and waits until it is gone; the Deployment makes another one. */
export const deletePrometheusPod = (lab: TestLab) =>
  lab.kubectl("delete", "pod", ...IN_OWN, "--selector=app=istio-lab-prometheus");

/** @param change a strategic merge patch of the Deployment's spec */
export const patchPrometheus = (lab: TestLab, change: object) =>
  lab.kubectl("patch", "deployment", "prometheus", ...IN_OWN, `--patch=${JSON.stringify({ spec: change })}`);

/** The values of an expression by version, e.g. `v116`, without versions that have no series. */
export async function byVersion(lab: TestLab, expression: string): Promise<Record<string, number>> {
  const samples = await promql(lab, expression);
  return Object.fromEntries(
    samples.map(({ labels, value }) => [
      labels.destination_workload?.replace(/^nginx-/, "") ?? "",
      value ?? Number.NaN,
    ]),
  );
}

/** A span of Zipkin's API. */
export interface Span {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly localEndpoint?: { readonly serviceName?: string };
  readonly tags?: Readonly<Record<string, string>>;
}

/** The spans of a trace; none while Zipkin does not know it. */
export async function spansOf(lab: TestLab, traceId: string): Promise<Span[]> {
  return ((await getter(lab, ZIPKIN)(`/api/v2/trace/${traceId}`).catch(() => [])) ?? []) as Span[];
}

export const newTraceId = () => randomBytes(16).toString("hex");
export const newSpanId = () => randomBytes(8).toString("hex");

/**
 * Sends a request that brings the ids of a trace and of its caller's span, and returns its page and its three
 * spans. A proxy drops spans that Zipkin does not take within 5 s, as on a busy host: then another request is
 * sent.
 */
export async function wholeTrace(lab: TestLab, send: (traceId: string, spanId: string) => Promise<string>) {
  for (let left = 6; ; left--) {
    const [traceId, spanId] = [newTraceId(), newSpanId()];
    const page = await send(traceId, spanId);
    const lost = await expect
      .poll(() => spansOf(lab, traceId), { timeout: 25_000, interval: 500 })
      .toHaveLength(3)
      .then(() => undefined)
      .catch((error: unknown) => error);
    if (lost === undefined) return { page, spanId, spans: await spansOf(lab, traceId) };
    if (left === 1) throw lost;
  }
}

/** The newest traces. */
export async function newestTraces(lab: TestLab, limit: number): Promise<Span[][]> {
  return (await getter(lab, ZIPKIN)(`/api/v2/traces?limit=${limit}&lookback=600000`)) as Span[][];
}

/** The objects of monitoring and tracing in the cluster, by kind and name. */
export async function ownedBy(lab: TestLab): Promise<string[]> {
  const kinds = ["namespaces", "roles", "rolebindings", "envoyfilters", "telemetries", "serviceentries"];
  const known = (await lab.kubectl("api-resources", "--verbs=list", "--output=name"))
    .split("\n")
    .filter((name) => kinds.includes(name.split(".")[0] ?? ""));
  const objects = await lab.list<{ kind: string; metadata: { name: string } }>(
    known.join(","),
    "--all-namespaces",
  );
  const names = objects.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`);
  return [...new Set(names)].filter((name) => name.includes("/istio-lab-")).sort();
}
