/** The measurements of the picture, as PromQL: Istio's standard metrics and HAProxy's own. */
import { RESPONSE_TIME } from "../haproxy/responseTimes.ts";
import { staleSeconds } from "../mesh/observability.ts";
import { bound, type Histogram } from "./histogram.ts";
import type { Measured, MeasuredServer, MeasuredVersion } from "./picture.ts";
import { type PrometheusGet, query, queryRange, type Sample, type Series } from "./prometheus.ts";

export interface MeasureArgs {
  readonly get: PrometheusGet;
  /** Namespace of the application. */
  readonly namespace: string;
  /** Version names; their Deployments are `nginx-NAME`. */
  readonly versions: readonly string[];
  /** Workload of the ingress gateway, which reports as the source. @default istio-ingressgateway */
  readonly gateway?: string | undefined;
  /** Seconds between two scrapes: the window is four of them, and 10 s at least. */
  readonly scrapeSeconds: number;
  /** Backend in haproxy.cfg. @default k8s-istio-ingress-gateway */
  readonly backend?: string | undefined;
  readonly signal: AbortSignal;
}

/** Minutes of history in the chart. */
const HISTORY_MINUTES = 10;

/**
 * One round of queries, all at once.
 * @throws Error when Prometheus does not answer, and when it answers out of old samples: on a full disk it
 * does.
 */
export async function measure(args: MeasureArgs): Promise<Measured> {
  const { get, versions, scrapeSeconds, signal } = args;
  const windowSeconds = Math.max(10, 4 * scrapeSeconds);
  const { history, ...instant } = queriesOf(args, windowSeconds);
  // Prometheus' own clock, which may differ from this machine's.
  const [clock] = await query(get, "vector(time())", signal);
  const now = clock?.value ?? Date.now() / 1000;
  const clockAhead = Date.now() / 1000 - now;
  const end = Math.floor(now);
  const range = { start: end - HISTORY_MINUTES * 60, end, step: Math.max(2, scrapeSeconds) };
  const [series, ...answers] = await Promise.all([
    queryRange(get, history, range, signal),
    ...Object.values(instant).map((expression) => query(get, expression, signal)),
  ]);
  const found = Object.fromEntries(
    Object.keys(instant).map((name, index) => [name, answers[index] ?? []]),
  ) as Record<keyof typeof instant, Sample[]>;
  const age = found.age[0]?.value ?? Number.POSITIVE_INFINITY;
  if (age > staleSeconds(scrapeSeconds)) throw new Error(storesNothing(age));
  return {
    at: Date.now(),
    clockAhead,
    windowSeconds,
    ...(found.edgeRequests.length > 0 ? { haproxy: haproxyOf(found) } : {}),
    ...(found.gatewayRequests.length > 0 ? { gateway: gatewayOf(found) } : {}),
    versions: versions.map((name) => versionOf(name, found)),
    history: historyOf(series, versions),
  };
}

function storesNothing(age: number): string {
  const since = Number.isFinite(age) ? `for ${Math.round(age)} s` : "for minutes";
  return (
    `Prometheus answers but has stored no sample ${since}: it has just started, its volume is full, or it ` +
    "scrapes less often than monitoring.scrapeSeconds says"
  );
}

type Found = Record<Exclude<keyof ReturnType<typeof queriesOf>, "history">, Sample[]>;

function versionOf(name: string, found: Found): MeasuredVersion {
  const of = (samples: readonly Sample[]) =>
    samples.find(({ labels }) => labels.destination_workload === deployment(name))?.value ?? null;
  const { requests, errors, p50, p99 } = found;
  return { name, requests: of(requests) ?? 0, errors: of(errors) ?? 0, p50: of(p50), p99: of(p99) };
}

function gatewayOf(found: Found): NonNullable<Measured["gateway"]> {
  const first = (samples: readonly Sample[]) => samples[0]?.value ?? null;
  return {
    requests: first(found.gatewayRequests) ?? 0,
    errors: first(found.gatewayErrors) ?? 0,
    p50: first(found.gatewayP50),
    p99: first(found.gatewayP99),
  };
}

/** Without the time that a kept connection was idle, which HAProxy's total has in it. */
const MEAN = "response_time_average_seconds";

/** Not the exporter's: the rules in haproxy.cfg count it. */
const TIMES = `${RESPONSE_TIME}_bucket`;

const deployment = (version: string) => `nginx-${version}`;

/**
 * The expressions, with Istio's and HAProxy's own metric names; any Prometheus that scrapes both answers
 * them.
 */
export function queriesOf(
  {
    namespace,
    gateway = "istio-ingressgateway",
    backend = "k8s-istio-ingress-gateway",
  }: Pick<MeasureArgs, "namespace" | "gateway" | "backend">,
  windowSeconds: number,
) {
  const reporter = `reporter="source",source_workload="${gateway}"`;
  const split = `${reporter},destination_workload_namespace="${namespace}",destination_workload=~"nginx-.+"`;
  const window = `[${windowSeconds}s]`;
  const count = (labels: string) => `increase(istio_requests_total{${labels}}${window})`;
  const quantile = (q: number, labels: string, by: string) =>
    `histogram_quantile(${q}, sum by (${by}) ` +
    `(rate(istio_request_duration_milliseconds_bucket{${labels}}${window})))`;
  const failed = 'response_code=~"5..|0"';
  const backends = `proxy=~"${backend}(-unchecked)?"`;
  const answers = `increase(haproxy_server_http_responses_total{${backends}}${window})`;
  return {
    /** Seconds since the newest sample: nothing where there is none within five minutes. */
    age: "time() - max(timestamp(up))",
    requests: `sum by (destination_workload) (${count(split)})`,
    errors: `sum by (destination_workload) (${count(`${split},${failed}`)})`,
    p50: quantile(0.5, split, "destination_workload, le"),
    p99: quantile(0.99, split, "destination_workload, le"),
    gatewayRequests: `sum(${count(reporter)})`,
    gatewayErrors: `sum(${count(`${reporter},${failed}`)})`,
    gatewayP50: quantile(0.5, reporter, "le"),
    gatewayP99: quantile(0.99, reporter, "le"),
    // Of the backends: frontends are one or two, and bear other names in a file beside others.
    edgeRequests: `sum(increase(haproxy_backend_http_requests_total{${backends}}${window}))`,
    edgeErrors: `sum(increase(haproxy_backend_http_responses_total{${backends},code="5xx"}${window}))`,
    serversUp: `max by (server) (haproxy_server_status{proxy="${backend}",state="UP"})`,
    serversSent: `sum by (server, code) (${answers})`,
    /** Nothing where only HAProxy's exporter is scraped. */
    serversTimes: `sum by (server, le) (increase(${TIMES}{${backends}}${window}))`,
    /** Of the last 1024 requests. */
    serversMean: `max by (server) (haproxy_server_${MEAN}{${backends}})`,
    edgeMean: `max(haproxy_backend_${MEAN}{${backends}})`,
    history: `sum by (destination_workload) (rate(istio_requests_total{${split}}${window}))`,
  };
}

function haproxyOf({
  edgeRequests,
  edgeErrors,
  edgeMean,
  serversUp,
  serversSent,
  serversMean,
  serversTimes,
}: Found): NonNullable<Measured["haproxy"]> {
  const total = (samples: readonly Sample[]) => samples.reduce((sum, { value }) => sum + (value ?? 0), 0);
  const servers = serversUp.map(({ labels, value }): MeasuredServer => {
    const answers = serversSent.filter((sample) => sample.labels.server === labels.server);
    return {
      name: labels.server ?? "",
      state: value === null ? "unknown" : value > 0 ? "up" : "down",
      requests: total(answers),
      errors: total(answers.filter((sample) => sample.labels.code === "5xx")),
      mean: milliseconds(serversMean.find((sample) => sample.labels.server === labels.server)),
      times: histogramOf(serversTimes.filter((sample) => sample.labels.server === labels.server)),
    };
  });
  return {
    requests: total(edgeRequests),
    errors: total(edgeErrors),
    mean: milliseconds(edgeMean[0]),
    servers: servers.sort((a, b) => a.name.localeCompare(b.name)),
  };
}

function histogramOf(buckets: readonly Sample[]): Histogram {
  const times = buckets.map(({ labels: { le = "" }, value }) => ({
    upTo: le === "+Inf" ? null : 1000 * Number(le),
    count: value ?? 0,
  }));
  return times.sort((a, b) => bound(a) - bound(b));
}

const milliseconds = (seconds: Sample | undefined) =>
  seconds?.value === undefined || seconds.value === null ? null : 1000 * seconds.value;

/** Rates to shares; a moment without a request has none. */
export function historyOf(series: readonly Series[], versions: readonly string[]): Measured["history"] {
  const times = [...new Set(series.flatMap(({ points }) => [...points.keys()]))].sort((a, b) => a - b);
  const rates = versions.map((name) => ({
    name,
    points: series.find(({ labels }) => labels.destination_workload === deployment(name))?.points,
  }));
  const totals = times.map((time) => rates.reduce((sum, { points }) => sum + (points?.get(time) ?? 0), 0));
  const share = (points: ReadonlyMap<number, number | null> | undefined, index: number) => {
    const total = totals[index] ?? 0;
    return total > 0 ? (100 * (points?.get(times[index] ?? 0) ?? 0)) / total : null;
  };
  return {
    times,
    shares: Object.fromEntries(
      rates.map(({ name, points }) => [name, times.map((_, index) => share(points, index))]),
    ),
  };
}
