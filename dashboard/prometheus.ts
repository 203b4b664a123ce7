/** Queries of Prometheus' HTTP API; the caller passes the function that sends the GET. */

/** A GET of a path below Prometheus' root, e.g. `/api/v1/query?query=up`; the parsed JSON body. */
export type PrometheusGet = (path: string, signal: AbortSignal) => Promise<unknown>;

/** One series of an instant query. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  /** Null where the value is no number: a quantile of nothing. */
  readonly value: number | null;
}

/** One series of a range query. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since the epoch to value. */
  readonly points: ReadonlyMap<number, number | null>;
}

/** The values of an expression now. @throws Error with Prometheus' own words when it refuses. */
export async function query(get: PrometheusGet, expression: string, signal: AbortSignal): Promise<Sample[]> {
  const result = await resultOf(get, `/api/v1/query?query=${encodeURIComponent(expression)}`, signal);
  return result.map(({ metric, value }) => ({ labels: metric, value: numberOf(value?.[1]) }));
}

/** Start, end and step of a range, in seconds. */
export interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** The values of an expression over time. @throws Error with Prometheus' own words when it refuses. */
export async function queryRange(
  get: PrometheusGet,
  expression: string,
  { start, end, step }: Range,
  signal: AbortSignal,
): Promise<Series[]> {
  const parameters = `query=${encodeURIComponent(expression)}&start=${start}&end=${end}&step=${step}`;
  const result = await resultOf(get, `/api/v1/query_range?${parameters}`, signal);
  return result.map(({ metric, values }) => ({
    labels: metric,
    points: new Map((values ?? []).map(([time, value]) => [time, numberOf(value)])),
  }));
}

/** An alerting rule whose condition holds for as long as the rule says. */
export interface FiringAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

/** The alerts that fire. They come from Prometheus' memory, also when it can store nothing. */
export async function firingAlerts(get: PrometheusGet, signal: AbortSignal): Promise<FiringAlert[]> {
  const { alerts = [] } = (await data(get, "/api/v1/alerts", signal)) as { alerts?: Alert[] };
  return alerts
    .filter(({ state }) => state === "firing")
    .map(({ labels, annotations }) => ({ labels, summary: annotations?.summary ?? labels.alertname ?? "" }));
}

interface Alert {
  readonly state: string;
  readonly labels: Record<string, string>;
  readonly annotations?: { readonly summary?: string };
}

interface Result {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly values?: [number, string][];
}

async function resultOf(get: PrometheusGet, path: string, signal: AbortSignal): Promise<Result[]> {
  return ((await data(get, path, signal)) as { result?: Result[] }).result ?? [];
}

async function data(get: PrometheusGet, path: string, signal: AbortSignal): Promise<object> {
  const body = (await get(path, signal)) as { status?: string; error?: string; data?: object } | null;
  if (body?.status !== "success") throw new Error(`Prometheus: ${body?.error ?? "no answer of its API"}`);
  return body.data ?? {};
}

function numberOf(text: string | undefined): number | null {
  const value = Number(text);
  return text === undefined || !Number.isFinite(value) ? null : value;
}
