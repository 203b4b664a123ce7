/** Tests of components/monitoring/standardMetrics.ts. */
import { expect, test } from "vitest";
import {
  STANDARD_METRICS_RELABELING,
  standardMetricsFilter,
} from "../../../../components/monitoring/standardMetrics.ts";

interface Relabeling {
  readonly source_labels?: readonly string[];
  readonly regex: string;
  readonly target_label?: string;
  readonly replacement?: string;
  readonly action?: string;
}

/** Prometheus' relabeling, as far as it is used: replace and labeldrop, with anchored expressions. */
function relabel(labels: Record<string, string>): Record<string, string> {
  const result = { ...labels };
  for (const rule of STANDARD_METRICS_RELABELING as readonly Relabeling[]) {
    const regex = new RegExp(`^(?:${rule.regex})$`);
    if (rule.action === "labeldrop") {
      for (const name of Object.keys(result)) if (regex.test(name)) delete result[name];
      continue;
    }
    const value = (rule.source_labels ?? []).map((name) => result[name] ?? "").join(";");
    if (regex.test(value) && rule.target_label)
      result[rule.target_label] = value.replace(regex, rule.replacement ?? "");
  }
  return result;
}

test("a gateway's series get Istio's names", () => {
  expect(
    relabel({
      __name__: "envoy_istiocustom_istio_requests_total",
      reporter: "source",
      source_workload: "istio-ingressgateway",
      lab_workload: "nginx-v116;default;nginx;1.16;Kubernetes",
      lab_cluster: "outbound|80|v116|nginx-svc.default.svc.cluster.local",
      connection_security_policy: "unknown",
    }),
  ).toEqual({
    __name__: "istio_requests_total",
    reporter: "source",
    source_workload: "istio-ingressgateway",
    destination_workload: "nginx-v116",
    destination_workload_namespace: "default",
    destination_canonical_service: "nginx",
    destination_app: "nginx",
    destination_version: "1.16",
    destination_service: "nginx-svc.default.svc.cluster.local",
    destination_service_name: "nginx-svc",
    destination_service_namespace: "default",
    connection_security_policy: "unknown",
  });
});

test("a request that reached no pod has an unknown destination", () => {
  const labels = relabel({
    __name__: "envoy_istiocustom_istio_requests_total",
    lab_workload: "-",
    lab_cluster: "-",
  });
  expect(labels).toEqual({ __name__: "istio_requests_total", destination_workload: "unknown" });
});

test("an answering sidecar's series name the service and the caller's namespace", () => {
  expect(
    relabel({
      __name__: "envoy_istiocustom_istio_request_duration_milliseconds_bucket",
      reporter: "destination",
      source_principal: "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
      lab_server_name: "outbound_.80_.v116_.nginx-svc.default.svc.cluster.local",
    }),
  ).toMatchObject({
    __name__: "istio_request_duration_milliseconds_bucket",
    destination_service_name: "nginx-svc",
    destination_service_namespace: "default",
    source_workload_namespace: "istio-system",
    connection_security_policy: "mutual_tls",
  });
});

test("other series stay as they are", () => {
  const labels = { __name__: "envoy_cluster_upstream_cx_active", cluster_name: "xds-grpc" };
  expect(relabel(labels)).toEqual(labels);
});

test("gateways and both sides of sidecars report", () => {
  expect(standardMetricsFilter().configPatches.map(({ match }) => match.context)).toEqual([
    "GATEWAY",
    "SIDECAR_OUTBOUND",
    "SIDECAR_INBOUND",
  ]);
});
