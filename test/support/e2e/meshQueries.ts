/**
 * The queries that other dashboards send to a Prometheus of the mesh: metrics, filters and groups of Istio's
 * Grafana dashboards (manifests/addons/dashboards of Istio 1.28) and of Kiali 2 (graph/telemetry/istio,
 * business). Metrics of TCP and of gRPC messages are left out, because the lab has no such traffic. Those of
 * containers are left out too, because the kubelet has them.
 */

const WINDOW = "[5m]";
const rate = (metric: string, labels: string) => `rate(${metric}{${labels}}${WINDOW})`;
const irate = (metric: string, labels: string) => `irate(${metric}{${labels}}${WINDOW})`;
const sumBy = (by: string, of: string) => `sum by (${by}) (${of})`;
const quantile = (metric: string, labels: string, by: string) =>
  `histogram_quantile(0.95, ${sumBy(`${by},le`, rate(`${metric}_bucket`, labels))})`;

/** Kiali leaves a series out when it lacks one of these. */
const KIALI_EDGE = [
  ...["source", "destination"].flatMap((side) =>
    ["cluster", "workload_namespace", "workload", "canonical_service", "canonical_revision"].map(
      (name) => `${side}_${name}`,
    ),
  ),
  ...["destination_service", "destination_service_name", "destination_service_namespace"],
  ...["request_protocol", "response_code", "response_flags"],
];
const EDGE = [...KIALI_EDGE, "grpc_response_status"].join();
const SECURE = `${EDGE},source_principal,destination_principal,connection_security_policy`;
const WHOLE = KIALI_EDGE.map((label) => `${label}!=""`).join();
const REQUESTS = "istio_requests_total";
const DURATION = "istio_request_duration_milliseconds";

const INTO_APP = 'reporter="destination",destination_workload_namespace="default"';
const INTO_SERVICE = 'reporter="destination",destination_service_namespace="default"';
const FROM_GATEWAY =
  'source_workload="istio-ingressgateway",source_workload_namespace="istio-system",source_cluster!="unknown"';
const OUT_OF_GATEWAY = 'reporter="source",source_workload_namespace="istio-system"';
const VERSION = 'destination_canonical_service="nginx",destination_canonical_revision="1.16"';

const kiali = {
  "graph, incoming": `${sumBy(EDGE, rate(REQUESTS, `${INTO_APP},${WHOLE}`))} > 0`,
  "graph of one namespace, its callers": `${sumBy(EDGE, rate(REQUESTS, `${INTO_APP},${FROM_GATEWAY}`))} > 0`,
  "graph, outgoing": `${sumBy(EDGE, rate(REQUESTS, `${OUT_OF_GATEWAY},${WHOLE}`))} > 0`,
  "graph, security": `${sumBy(SECURE, rate(REQUESTS, INTO_SERVICE))} > 0`,
  "graph, response time": `${quantile(DURATION, OUT_OF_GATEWAY, EDGE)} > 0`,
  "graph, mean response time":
    `${sumBy(EDGE, rate(`${DURATION}_sum`, INTO_SERVICE))} / ` +
    `${sumBy(EDGE, rate(`${DURATION}_count`, INTO_SERVICE))} > 0`,
  "graph, throughput": sumBy(EDGE, rate("istio_request_bytes_sum", OUT_OF_GATEWAY)),
  "workload, sizes": sumBy(
    "source_canonical_service",
    rate("istio_response_bytes_sum", `reporter="destination",${VERSION}`),
  ),
  "control plane": sumBy("pod", 'pilot_proxy_convergence_time_count{pod=~"istiod-.+"}'),
  "control plane, CPU": rate("process_cpu_seconds_total", 'pod=~"istiod-.+"'),
  "control plane, memory": 'process_resident_memory_bytes{pod=~"istiod-.+"}',
};

const SENT = 'reporter=~"source|waypoint"';
const RECEIVED = 'reporter=~"destination|waypoint"';
const SERVICE = 'destination_service=~"nginx-svc.default.svc.cluster.local"';
const WORKLOAD = 'destination_workload_namespace=~"default",destination_workload=~"nginx-v116"';
const GATEWAY = 'source_workload=~"istio-ingressgateway",source_workload_namespace=~"istio-system"';
const ENCRYPTED = 'connection_security_policy="mutual_tls"';
const SOURCE = "source_workload,source_workload_namespace";
const DESTINATION = "destination_workload,destination_workload_namespace";

const meshDashboard = {
  "mesh, requests": `round(sum(${rate(REQUESTS, SENT)}), 0.01)`,
  "mesh, success":
    `sum(${rate(REQUESTS, `${SENT},response_code!~"5.."`)}) / ` + `sum(${rate(REQUESTS, SENT)})`,
  "mesh, workloads": sumBy(`${DESTINATION},destination_service`, rate(REQUESTS, SENT)),
  "mesh, versions": sumBy("component,tag", "istio_build"),
};

const serviceDashboard = {
  "service, names": sumBy("destination_service", REQUESTS),
  "service, clusters": sumBy(
    "source_cluster,destination_cluster",
    `${REQUESTS}{reporter="destination",${SERVICE}}`,
  ),
  "service, client requests": `sum(${irate(REQUESTS, `${SENT},${SERVICE}`)})`,
  "service, client durations": quantile(DURATION, `${SENT},${SERVICE}`, "source_workload"),
  "service, mutual TLS": sumBy(
    `${SOURCE},response_code`,
    irate(REQUESTS, `${ENCRYPTED},${SERVICE},${RECEIVED}`),
  ),
  "service, request sizes": quantile("istio_request_bytes", `${RECEIVED},${SERVICE}`, DESTINATION),
  "service, response sizes": quantile("istio_response_bytes", `${RECEIVED},${SERVICE}`, SOURCE),
};

const workloadDashboard = {
  "workload, incoming": sumBy(`${SOURCE},response_code`, irate(REQUESTS, `${RECEIVED},${WORKLOAD}`)),
  "workload, incoming durations": quantile(DURATION, `${RECEIVED},${ENCRYPTED},${WORKLOAD}`, SOURCE),
  "workload, outgoing": sumBy(
    "destination_principal,destination_service,response_code",
    irate(REQUESTS, `destination_principal=~"spiffe.*",${SENT},${GATEWAY}`),
  ),
  "workload, outgoing sizes": quantile("istio_request_bytes", `${SENT},${GATEWAY}`, "destination_service"),
};

const ISTIOD = 'app="istiod"';

const controlPlaneDashboard = {
  "istiod, versions": 'sum by (tag) (istio_build{component="pilot"})',
  "istiod, goroutines": `sum by (pod) (go_goroutines{${ISTIOD}})`,
  "istiod, heap": `sum by (pod) (go_memstats_heap_alloc_bytes{${ISTIOD}})`,
  "istiod, allocations": `sum by (pod) (rate(go_memstats_mallocs_total{${ISTIOD}}${WINDOW}))`,
  "istiod, memory": `process_resident_memory_bytes{${ISTIOD}}`,
  "istiod, CPU": `irate(process_cpu_seconds_total{${ISTIOD}}${WINDOW})`,
  "istiod, files": `process_open_fds{${ISTIOD}}`,
  "istiod, proxies": "sum(pilot_xds)",
  "istiod, pushes": "sum by (type) (irate(pilot_xds_pushes[5m]))",
  "istiod, events": "sum by (type,event) (rate(pilot_k8s_cfg_events[5m]))",
  "istiod, push times": "sum by (le) (rate(pilot_xds_push_time_bucket[5m]))",
  "istiod, proxies' connections": 'sum(envoy_cluster_upstream_cx_active{cluster_name="xds-grpc"})',
  "istiod, injections": "sum(rate(sidecar_injection_success_total[5m]))",
  "istiod, validations": "sum(rate(galley_validation_passed[5m]))",
};

/** Name to query. */
export const MESH_QUERIES: Readonly<Record<string, string>> = {
  ...kiali,
  ...meshDashboard,
  ...serviceDashboard,
  ...workloadDashboard,
  ...controlPlaneDashboard,
};

/** One query with a sample for each of these that has an answer; its label `query` is the name. */
export const allAnswers = (queries: Readonly<Record<string, string>>) =>
  Object.entries(queries)
    .map(([name, expression]) => `label_replace(count(${expression}) > 0, "query", "${name}", "", "")`)
    .join(" or ");
