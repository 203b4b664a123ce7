/**
 * A stand-in for Istio's telemetry filter, which a plain Envoy lacks: Envoy's stats access logger counts the
 * requests, and Prometheus' relabeling gives the series Istio's standard names and labels
 * (https://istio.io/latest/docs/reference/config/metrics/). On the answering side, the caller's workload comes
 * with Istio's metadata exchange alone. Here the gateway is known by its principal, and any other caller's
 * workload is `unknown`. Sizes are those of the bodies.
 */
import { HTTP_FILTER, PACKAGE } from "../../mesh/envoy.ts";
import type { GatewayRef } from "../../mesh/model.ts";

type Tags = Readonly<Record<string, string>>;

/** The pod's own workload: the environment of the injected proxy has it. */
const OWN_WORKLOAD = "%ENVIRONMENT(ISTIO_META_WORKLOAD_NAME)%";
const OWN_NAMESPACE = "%ENVIRONMENT(POD_NAMESPACE)%";
const OWN_CLUSTER = "%ENVIRONMENT(ISTIO_META_CLUSTER_ID)%";

/**
 * A caller's side: the gateway, or a sidecar that sends. istiod puts `istio: {workload: …}` on every
 * endpoint.
 */
const SOURCE: Tags = {
  reporter: "source",
  source_workload: OWN_WORKLOAD,
  source_workload_namespace: OWN_NAMESPACE,
  source_cluster: OWN_CLUSTER,
  source_principal: "%UPSTREAM_LOCAL_URI_SAN%",
  destination_principal: "%UPSTREAM_PEER_URI_SAN%",
  // WORKLOAD;NAMESPACE;CANONICAL SERVICE;CANONICAL REVISION;CLUSTER
  lab_workload: "%UPSTREAM_METADATA(istio:workload)%",
  // outbound|PORT|SUBSET|HOST
  lab_cluster: "%UPSTREAM_CLUSTER_RAW%",
  connection_security_policy: "unknown",
};

/** The answering side. */
const DESTINATION: Tags = {
  reporter: "destination",
  source_workload: "unknown",
  source_workload_namespace: "unknown",
  source_cluster: "unknown",
  source_principal: "%DOWNSTREAM_PEER_URI_SAN%",
  destination_workload: OWN_WORKLOAD,
  destination_workload_namespace: OWN_NAMESPACE,
  destination_cluster: OWN_CLUSTER,
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
  const histogram = (name: string, value_format: string, unit: string) => ({
    stat: { name, tags },
    value_format,
    unit,
  });
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
                  histogram("istio_request_duration_milliseconds", "%DURATION%", "Milliseconds"),
                  histogram("istio_request_bytes", "%BYTES_RECEIVED%", "Bytes"),
                  histogram("istio_response_bytes", "%BYTES_SENT%", "Bytes"),
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
  source_labels: source.split(" "),
  regex,
  target_label,
  replacement,
});

/** The parts of `lab_workload`, in order; each is one label or several. */
const WORKLOAD = [
  ["destination_workload"],
  ["destination_workload_namespace"],
  ["destination_canonical_service", "destination_app"],
  ["destination_canonical_revision", "destination_version"],
  ["destination_cluster"],
];

/** Labels of a target, of its pod's labels. Only `up` and the like keep them. */
const OWN_SERVICE = "service_istio_io_canonical_name";
const OWN_REVISION = "service_istio_io_canonical_revision";

/** Prometheus' relabel_configs for the proxies: what a pod's labels say of its own service. */
export const OWN_SERVICE_RELABELING = [OWN_SERVICE, OWN_REVISION].map((label) =>
  relabel(`__meta_kubernetes_pod_label_${label}`, "(.+)", label),
);

/** The pod's own service, on the side that the pod is on. */
const ownService = [
  ["canonical_service", OWN_SERVICE],
  ["app", OWN_SERVICE],
  ["canonical_revision", OWN_REVISION],
  ["version", OWN_REVISION],
].flatMap(([name, own]) => [
  relabel(`reporter ${own}`, "source;(.+)", `source_${name}`),
  relabel(`reporter ${own}`, "destination;(.+)", `destination_${name}`),
  relabel("reporter", "destination", `source_${name}`, "unknown"),
]);

/** The Service of a request: from the name of the upstream cluster, or from the server name of TLS (SNI). */
const service = [
  ["lab_cluster", "outbound\\|[^|]*\\|[^|]*\\|"],
  ["lab_server_name", "outbound_\\.[^_]*_\\.[^_]*_\\."],
].flatMap(([label = "", before]) => [
  relabel(label, `${before}([^;]+);?`, "destination_service"),
  relabel(label, `${before}([^.;]+)\\..*`, "destination_service_name"),
  relabel(label, `${before}[^.]+\\.([^.]+)\\.svc\\..*`, "destination_service_namespace"),
  ...["destination_service", "destination_service_name", "destination_service_namespace"].map((name) =>
    relabel(label, "-", name, "unknown"),
  ),
]);

/**
 * The gateway as the caller. Its service account bears the name of its Service, in some charts with an end.
 * A half-known caller would be worse than an unknown one: Kiali leaves such a series out.
 */
function fromGateway({ namespace, service }: Gateway) {
  const caller = `destination;spiffe://[^/]+/ns/${namespace}/sa/${service}(?:-service-account)?`;
  const known = {
    source_workload: service,
    source_workload_namespace: namespace,
    source_canonical_service: service,
    source_app: service,
    source_canonical_revision: "latest",
    source_version: "latest",
  };
  return [
    ...Object.entries(known).map(([label, value]) =>
      relabel("reporter source_principal", caller, label, value),
    ),
    relabel("reporter source_principal destination_cluster", `${caller};(.+)`, "source_cluster"),
  ];
}

type Gateway = Pick<GatewayRef, "namespace" | "service">;

/**
 * Prometheus' metric_relabel_configs: series of the access logger under Istio's names, all others as they
 * are.
 */
export const standardMetricsRelabeling = (gateway: Gateway) => [
  relabel("__name__", "envoy_istiocustom_(istio_.+)", "__name__"),
  ...ownService,
  ...WORKLOAD.flatMap((labels, index) =>
    labels.flatMap((label) => [
      relabel("lab_workload", `${"[^;]*;".repeat(index)}([^;]+)(;.*)?`, label),
      relabel("lab_workload", "-", label, "unknown"),
    ]),
  ),
  ...service,
  ...fromGateway(gateway),
  relabel("reporter source_principal", "destination;spiffe://.+", "connection_security_policy", "mutual_tls"),
  relabel("reporter source_principal", "destination;-", "connection_security_policy", "none"),
  ...["source_principal", "destination_principal"].map((name) => relabel(name, "-", name, "unknown")),
  { action: "labeldrop", regex: `lab_(workload|cluster|server_name)|${OWN_SERVICE}|${OWN_REVISION}` },
];
