/** What a lab's own Prometheus and Zipkin answer, through the API server's proxy. */
import { query, type Sample } from "../../../dashboard/prometheus.ts";
import { proxyPath, type ServiceRef } from "../../../dashboard/source.ts";
import { OBSERVABILITY_NAMESPACE } from "../../../mesh/observability.ts";
import type { TestLab } from "./harness.ts";

const inOwn = (service: string, port: number): ServiceRef => ({
  namespace: OBSERVABILITY_NAMESPACE,
  service,
  port,
});
const PROMETHEUS = inOwn("prometheus", 9090);
const ZIPKIN = inOwn("zipkin", 9411);

const getter = (lab: TestLab, service: ServiceRef) => async (path: string) =>
  JSON.parse(await lab.kubectl("get", "--raw", `${proxyPath(service)}${path}`)) as unknown;

/** The values of an expression now. */
export function promql(lab: TestLab, expression: string): Promise<Sample[]> {
  return query(getter(lab, PROMETHEUS), expression, AbortSignal.timeout(30_000));
}

/** The values of an expression by version, e.g. `v116`; a version without a series is missing. */
export async function byVersion(lab: TestLab, expression: string): Promise<Record<string, number>> {
  const samples = await promql(lab, expression);
  return Object.fromEntries(
    samples.map(({ labels, value }) => [
      labels.destination_workload?.replace(/^nginx-/, "") ?? "",
      value ?? Number.NaN,
    ]),
  );
}

/** One span, as Zipkin's API has it. */
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

/** The newest traces. */
export async function newestTraces(lab: TestLab, limit: number): Promise<Span[][]> {
  return (await getter(lab, ZIPKIN)(`/api/v2/traces?limit=${limit}&lookback=600000`)) as Span[][];
}
