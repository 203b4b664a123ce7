/** What Prometheus scrapes: the mesh's proxies, istiod, HAProxy, itself. Pure. */
import { stringify } from "yaml";
import type { GatewayRef } from "../../mesh/model.ts";
import { OWN_SERVICE_RELABELING, standardMetricsRelabeling } from "./standardMetrics.ts";

/** Where HAProxy's metrics are. */
export interface HaproxyTarget {
  /** `HOST:PORT` of its exporter. */
  readonly address: string;
  /** Paths of the same address at which its response times are. */
  readonly responseTimes: readonly string[];
}

export interface ScrapeArgs {
  /** Namespaces with pods that have a sidecar or are a gateway. */
  readonly namespaces: readonly string[];
  /** The ingress gateway, which the stand-in knows as a caller. */
  readonly gateway: Pick<GatewayRef, "namespace" | "service">;
  /** Namespace of istiod. */
  readonly istiodNamespace: string;
  /** Seconds between two scrapes. */
  readonly scrapeSeconds: number;
  /** HAProxy's exporter. @default HAProxy is not scraped */
  readonly haproxy?: HaproxyTarget | undefined;
  /** True: the proxies report through Envoy's stats access logger, under names that need relabeling. */
  readonly standIn: boolean;
}

/** prometheus.yml, good for Prometheus 2.42 and later. */
export function prometheusConfig(args: ScrapeArgs): string {
  const seconds = `${args.scrapeSeconds}s`;
  return stringify({
    global: {
      scrape_interval: seconds,
      scrape_timeout: args.scrapeSeconds < 10 ? seconds : "10s",
      evaluation_interval: seconds,
    },
    rule_files: ["rules.yml"],
    scrape_configs: [
      proxies(args),
      istiod(args.istiodNamespace),
      ...(args.haproxy ? haproxy(args.haproxy) : []),
      { job_name: "prometheus", static_configs: [{ targets: ["localhost:9090"] }] },
    ],
  });
}

/**
 * Istio's merged port: metrics of Envoy, of the agent, and of the application where the pod's annotations
 * name them.
 */
const MERGED_PORT = 15020;

/**
 * One target a pod. A pod has a target for each port of each container; Envoy's own port `http-envoy-prom` is
 * the one that every proxy has and no other container.
 */
function proxies({ namespaces, gateway, standIn }: ScrapeArgs) {
  return {
    job_name: "istio-proxies",
    metrics_path: "/stats/prometheus",
    kubernetes_sd_configs: [{ role: "pod", namespaces: { names: [...new Set(namespaces)] } }],
    relabel_configs: [
      keep("__meta_kubernetes_pod_annotation_prometheus_io_scrape", "true"),
      keep("__meta_kubernetes_pod_container_port_name", ".*-envoy-prom"),
      keep("__meta_kubernetes_pod_phase", "Running"),
      // An IPv6 address stands in brackets before its port.
      replace("__meta_kubernetes_pod_ip", "([^:]+)", `$1:${MERGED_PORT}`, "__address__"),
      replace("__meta_kubernetes_pod_ip", "(.*:.*)", `[$1]:${MERGED_PORT}`, "__address__"),
      ...podLabels,
      ...(standIn ? OWN_SERVICE_RELABELING : []),
    ],
    ...(standIn ? { metric_relabel_configs: standardMetricsRelabeling(gateway) } : {}),
  };
}

function istiod(namespace: string) {
  return {
    job_name: "istiod",
    kubernetes_sd_configs: [{ role: "pod", namespaces: { names: [namespace] } }],
    relabel_configs: [
      keep("__meta_kubernetes_pod_label_app", "istiod"),
      keep("__meta_kubernetes_pod_container_port_number", "15014"),
      ...podLabels,
      // Istio's dashboard of the control plane filters by it.
      replace("__meta_kubernetes_pod_label_app", "(.+)", "$1", "app"),
    ],
  };
}

/** Targets that differ in their path alone need a label that differs, too. */
function haproxy({ address, responseTimes }: HaproxyTarget) {
  const [first = "/latency", ...more] = responseTimes;
  const target = (labels: Record<string, string>) => ({ targets: [address], labels });
  return [
    { job_name: "haproxy", static_configs: [{ targets: [address] }] },
    {
      job_name: "haproxy-latency",
      metrics_path: first,
      static_configs: [
        { targets: [address] },
        ...more.map((path) => target({ __metrics_path__: path, page: path })),
      ],
    },
  ];
}

const keep = (label: string, regex: string) => ({ source_labels: [label], action: "keep", regex });

const replace = (label: string, regex: string, replacement: string, target_label: string) => ({
  source_labels: [label],
  regex,
  replacement,
  target_label,
});

const podLabels = [
  replace("__meta_kubernetes_namespace", "(.*)", "$1", "namespace"),
  replace("__meta_kubernetes_pod_name", "(.*)", "$1", "pod"),
];
