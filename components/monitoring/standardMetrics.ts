/**
 * A stand-in for Istio's telemetry filter, which a plain Envoy lacks: Envoy's stats access logger counts the requests,
 * and Prometheus' relabeling gives the series Istio's standard names and labels
 * (https://istio.io/latest/docs/reference/config/metrics/). What only Istio's own metadata exchange knows stays
 * `unknown`: on the destination's side the source workload, of which the caller's principal is known.
 */

const HTTP_FILTER = "envoy.filters.network.http_connection_manager";
const PACKAGE = "type.googleapis.com/envoy.extensions";

type Tags = Readonly<Record<string, string>>;

/** The pod's own workload: the injected proxy has both in its environment. */
const OWN_WORKLOAD = "%ENVIRONMENT(ISTIO_META_WORKLOAD_NAME)%";
const OWN_NAMESPACE = "%ENVIRONMENT(POD_NAMESPACE)%";

/** A caller's side: the gateway, or a sidecar that sends. istiod puts `istio: {workload: …}` on every endpoint. */
const SOURCE: Tags = {
  reporter: "source",
  source_workload: OWN_WORKLOAD,
  source_workload_namespace: OWN_NAMESPACE,
  // WORKLOAD;NAMESPACE;SERVICE;VERSION;CLUSTER
  lab_workload: "%UPSTREAM_METADATA(istio:workload)%",
  // outbound|PORT|SUBSET|HOST
  lab_cluster: "%UPSTREAM_CLUSTER_RAW%",
  connection_security_policy: "unknown",
};

/** The answering side. */
const DESTINATION: Tags = {
  reporter: "destination",
  source_workload: "unknown",
  source_principal: "%DOWNSTREAM_PEER_URI_SAN%",
  destination_workload: OWN_WORKLOAD,
  destination_workload_namespace: OWN_NAMESPACE,
  destination_principal: "%DOWNSTREAM_LOCAL_URI_SAN%",
  // outbound_.PORT_.SUBSET_.HOST
  lab_server_name: "%REQUESTED_SERVER_NAME%",
};

const BOTH: Tags = {
  request_protocol: "http",
  response_code: "%RESPONSE_CODE%",
  response_flags: "%RESPONSE_FLAGS%",
  route_name: "%ROUTE_NAME%",
};

/** The EnvoyFilter's spec: gateways and sidecars report, without a restart of any. */
export function standardMetricsFilter() {
  return {
    configPatches: [
      patch("GATEWAY", SOURCE),
      patch("SIDECAR_OUTBOUND", SOURCE),
      patch("SIDECAR_INBOUND", DESTINATION),
    ],
  };
}

function patch(context: string, side: Tags) {
  const tags = Object.entries({ ...side, ...BOTH }).map(([name, value_format]) => ({ name, value_format }));
  return {
    applyTo: "NETWORK_FILTER",
    match: { context, listener: { filterChain: { filter: { name: HTTP_FILTER } } } },
    patch: {
      operation: "MERGE",
      value: {
        typed_config: {
          "@type": `${PACKAGE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
          access_log: [
            {
              name: "istio-lab.stats",
              typed_config: {
                "@type": `${PACKAGE}.access_loggers.stats.v3.Config`,
                stat_prefix: "istiocustom",
                counters: [{ stat: { name: "istio_requests_total", tags }, value_fixed: 1 }],
                histograms: [
                  {
                    stat: { name: "istio_request_duration_milliseconds", tags },
                    value_format: "%DURATION%",
                    unit: "Milliseconds",
                  },
                ],
              },
            },
          ],
        },
      },
    },
  };
}

const relabel = (source: string, regex: string, target_label: string, replacement = "$1") => ({
  source_labels: [source],
  regex,
  target_label,
  replacement,
});

const WORKLOAD = [
  "destination_workload",
  "destination_workload_namespace",
  "destination_canonical_service",
  "destination_version",
];

/** Prometheus' metric_relabel_configs: series of the access logger under Istio's names, all others as they are. */
export const STANDARD_METRICS_RELABELING = [
  relabel("__name__", "envoy_istiocustom_(istio_.+)", "__name__"),
  ...WORKLOAD.map((label, index) => relabel("lab_workload", `${"[^;]*;".repeat(index)}([^;]+);.*`, label)),
  relabel("lab_workload", "-", "destination_workload", "unknown"),
  relabel("destination_canonical_service", "(.+)", "destination_app"),
  ...["lab_cluster", "lab_server_name"].flatMap((label) => {
    const host = label === "lab_cluster" ? "outbound\\|[^|]*\\|[^|]*\\|" : "outbound_\\.[^_]*_\\.[^_]*_\\.";
    return [
      relabel(label, `${host}([^;]+);?`, "destination_service"),
      relabel(label, `${host}([^.;]+)\\..*`, "destination_service_name"),
      relabel(label, `${host}[^.]+\\.([^.]+)\\.svc\\..*`, "destination_service_namespace"),
    ];
  }),
  relabel("source_principal", "spiffe://[^/]+/ns/([^/]+)/sa/.+", "source_workload_namespace"),
  relabel("source_principal", "spiffe://.+", "connection_security_policy", "mutual_tls"),
  relabel("source_principal", "-", "connection_security_policy", "none"),
  { action: "labeldrop", regex: "lab_(workload|cluster|server_name)" },
];
