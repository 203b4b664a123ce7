/** Tests of components/monitoring/standardMetrics.ts. */
import { expect, test } from "vitest";
import {
  standardMetricsFilter,
  standardMetricsRelabeling,
} from "../../../../components/monitoring/standardMetrics.ts";

interface Relabeling {
  readonly source_labels?: readonly string[];
  readonly regex: string;
  readonly target_label?: string;
  readonly replacement?: string;
  readonly action?: string;
}

const GATEWAY = { namespace: "istio-system", service: "istio-ingressgateway" };
const PRINCIPAL = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account";

/** Prometheus' relabeling, as far as it is used: replace and labeldrop, with anchored expressions. */
function relabel(labels: Record<string, string>): Record<string, string> {
  const result = { ...labels };
  for (const rule of standardMetricsRelabeling(GATEWAY) as readonly Relabeling[]) {
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

/** The value of each of Envoy's own operators in these tests. */
const VALUES: Record<string, string> = {
  "%ENVIRONMENT(POD_NAMESPACE)%": "istio-system",
  "%ENVIRONMENT(ISTIO_META_WORKLOAD_NAME)%": "istio-ingressgateway",
  "%ENVIRONMENT(ISTIO_META_CLUSTER_ID)%": "Kubernetes",
  "%UPSTREAM_METADATA(istio:workload)%": "nginx-v116;default;nginx;1.16;Kubernetes",
  "%UPSTREAM_CLUSTER_RAW%": "outbound|80|v116|nginx-svc.default.svc.cluster.local",
  "%UPSTREAM_LOCAL_URI_SAN%": PRINCIPAL,
  "%UPSTREAM_PEER_URI_SAN%": "spiffe://cluster.local/ns/default/sa/default",
  "%DOWNSTREAM_PEER_URI_SAN%": PRINCIPAL,
  "%DOWNSTREAM_LOCAL_URI_SAN%": "spiffe://cluster.local/ns/default/sa/default",
  "%REQUESTED_SERVER_NAME%": "outbound_.80_.v116_.nginx-svc.default.svc.cluster.local",
  "%RESPONSE_CODE%": "200",
  "%RESPONSE_FLAGS%": "-",
  "%ROUTE_NAME%": "weights-v117-50-v116-50",
};

/** A series of one side as Prometheus stores it: the access logger's tags, the target's labels, relabeled. */
function series(context: string, change: Record<string, string> = {}): Record<string, string> {
  const found = standardMetricsFilter().configPatches.find(({ match }) => match.context === context);
  const [logger] = found?.patch.value.typed_config.access_log ?? [];
  const tags = logger?.typed_config.counters[0]?.stat.tags ?? [];
  const values: Record<string, string> = { ...VALUES, ...change };
  const own = context === "GATEWAY" ? ["istio-ingressgateway", "latest"] : ["nginx", "1.16"];
  return relabel({
    __name__: "envoy_istiocustom_istio_requests_total",
    service_istio_io_canonical_name: own[0] ?? "",
    service_istio_io_canonical_revision: own[1] ?? "",
    ...Object.fromEntries(tags.map(({ name, value_format }) => [name, values[value_format] ?? value_format])),
  });
}

test("a gateway's series have Istio's names", () => {
  expect(series("GATEWAY")).toEqual({
    __name__: "istio_requests_total",
    reporter: "source",
    source_workload: "istio-ingressgateway",
    source_workload_namespace: "istio-system",
    source_canonical_service: "istio-ingressgateway",
    source_canonical_revision: "latest",
    source_app: "istio-ingressgateway",
    source_version: "latest",
    source_cluster: "Kubernetes",
    source_principal: PRINCIPAL,
    destination_workload: "nginx-v116",
    destination_workload_namespace: "default",
    destination_canonical_service: "nginx",
    destination_canonical_revision: "1.16",
    destination_app: "nginx",
    destination_version: "1.16",
    destination_cluster: "Kubernetes",
    destination_principal: "spiffe://cluster.local/ns/default/sa/default",
    destination_service: "nginx-svc.default.svc.cluster.local",
    destination_service_name: "nginx-svc",
    destination_service_namespace: "default",
    connection_security_policy: "unknown",
    request_protocol: "http",
    response_code: "200",
    response_flags: "-",
    route_name: "weights-v117-50-v116-50",
  });
});

test("an answering sidecar's series have the pod's own version, and the gateway as the caller", () => {
  const own = {
    "%ENVIRONMENT(POD_NAMESPACE)%": "default",
    "%ENVIRONMENT(ISTIO_META_WORKLOAD_NAME)%": "nginx-v116",
  };
  expect(series("SIDECAR_INBOUND", own)).toMatchObject({
    reporter: "destination",
    source_workload: "istio-ingressgateway",
    source_workload_namespace: "istio-system",
    source_canonical_service: "istio-ingressgateway",
    source_canonical_revision: "latest",
    source_cluster: "Kubernetes",
    source_principal: PRINCIPAL,
    destination_workload: "nginx-v116",
    destination_canonical_service: "nginx",
    destination_canonical_revision: "1.16",
    destination_service_name: "nginx-svc",
    destination_service_namespace: "default",
    connection_security_policy: "mutual_tls",
  });
});

test("a gateway of another chart is known too; of another caller only the principal is", () => {
  const own = { "%DOWNSTREAM_PEER_URI_SAN%": "spiffe://x/ns/istio-system/sa/istio-ingressgateway" };
  expect(series("SIDECAR_INBOUND", own)).toMatchObject({ source_workload: "istio-ingressgateway" });
  const principal = "spiffe://cluster.local/ns/shop/sa/istio-ingressgateway";
  expect(series("SIDECAR_INBOUND", { "%DOWNSTREAM_PEER_URI_SAN%": principal })).toMatchObject({
    source_workload: "unknown",
    source_workload_namespace: "unknown",
    source_cluster: "unknown",
    source_principal: principal,
    connection_security_policy: "mutual_tls",
  });
});

/**
 * The labels that queries group and filter by: those of Kiali's graph, which drops a series that lacks one
 * (graph/telemetry/istio/istio.go), and those of Istio's Grafana dashboards (manifests/addons/dashboards).
 */
const QUERIED = [
  ...["source", "destination"].flatMap((side) =>
    ["workload", "workload_namespace", "canonical_service", "canonical_revision", "cluster", "principal"].map(
      (name) => `${side}_${name}`,
    ),
  ),
  ...["destination_service", "destination_service_name", "destination_service_namespace"],
  ...["reporter", "request_protocol", "response_code", "response_flags", "connection_security_policy"],
];
const NOWHERE = {
  "%UPSTREAM_METADATA(istio:workload)%": "-",
  "%UPSTREAM_CLUSTER_RAW%": "-",
  "%UPSTREAM_LOCAL_URI_SAN%": "-",
  "%UPSTREAM_PEER_URI_SAN%": "-",
};
const PLAIN = {
  "%DOWNSTREAM_PEER_URI_SAN%": "-",
  "%DOWNSTREAM_LOCAL_URI_SAN%": "-",
  "%REQUESTED_SERVER_NAME%": "-",
};

test.each([
  ["of the gateway", "GATEWAY", {}],
  ["of a sidecar that sends", "SIDECAR_OUTBOUND", {}],
  ["of a sidecar that answers", "SIDECAR_INBOUND", {}],
  ["of a request that reached no pod", "GATEWAY", NOWHERE],
  ["of a request without mutual TLS", "SIDECAR_INBOUND", PLAIN],
])("a series %s has every label that Kiali's and Istio's own queries use", (_, context, change) => {
  const labels = series(context, change);
  expect(QUERIED.filter((name) => !labels[name])).toEqual([]);
  expect(Object.keys(labels).filter((name) => /^lab_|istio_io/.test(name))).toEqual([]);
});

test("a request that reached no pod has an unknown destination", () => {
  expect(series("GATEWAY", NOWHERE)).toMatchObject({
    destination_workload: "unknown",
    destination_workload_namespace: "unknown",
    destination_canonical_revision: "unknown",
    destination_service: "unknown",
    destination_principal: "unknown",
  });
});

test("a request without mutual TLS has a security policy that says so", () => {
  expect(series("SIDECAR_INBOUND", PLAIN)).toMatchObject({
    connection_security_policy: "none",
    source_principal: "unknown",
    source_workload_namespace: "unknown",
  });
});

test("requests, durations and sizes are measured", () => {
  const [patch] = standardMetricsFilter().configPatches;
  const [logger] = patch?.patch.value.typed_config.access_log ?? [];
  const { counters = [], histograms = [] } = logger?.typed_config ?? {};
  expect([...counters, ...histograms].map(({ stat }) => stat.name)).toEqual([
    "istio_requests_total",
    "istio_request_duration_milliseconds",
    "istio_request_bytes",
    "istio_response_bytes",
  ]);
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
