/**
 * Recording and alerting rules of a lab: shares against weights, errors, latency, load balancer, gateway.
 * Pure.
 */
import { stringify } from "yaml";
import type { GatewayRef, Weights } from "../../mesh/model.ts";
import { staleSeconds } from "../../mesh/observability.ts";

export interface RulesArgs {
  /** Namespace of the application. */
  readonly namespace: string;
  readonly weights: Weights;
  /** The ingress gateway; Istio's charts give its pods the name of its Service. */
  readonly gateway: Pick<GatewayRef, "namespace" | "service">;
  /** True: HAProxy is scraped. */
  readonly haproxy: boolean;
  /** Seconds between two scrapes; a rate needs four of them. */
  readonly scrapeSeconds: number;
}

/**
 * A share off its weight by more than this is no chance: at one request a second for five minutes, six
 * deviations.
 */
const MOST_OFF = 0.15;

/** Label of every alert of the lab, which sets them apart from others. */
export const ALERT_LABELS = { severity: "warning", part_of: "istio-lab" } as const;

/** rules.yml. */
export function prometheusRules(args: RulesArgs): string {
  return stringify({
    groups: [
      { name: "istio-lab.recording", rules: recording(args) },
      { name: "istio-lab.alerting", rules: alerting(args) },
    ],
  });
}

const rateWindow = (scrapeSeconds: number) => `${Math.max(60, 4 * scrapeSeconds)}s`;

/** Names as Prometheus recommends: level:metric:operations. */
function recording({ namespace, weights, scrapeSeconds }: RulesArgs) {
  const window = rateWindow(scrapeSeconds);
  const workloads = `destination_workload_namespace="${namespace}",destination_workload=~"nginx-.+"`;
  const labels = `reporter="source",${workloads}`;
  const rate = (extra = "", metric = "istio_requests_total") =>
    `rate(${metric}{${labels}${extra}}[${window}])`;
  const by = "destination_workload";
  return [
    {
      record: "istio_lab:version_requests:rate",
      expr: `sum by (${by}) (${rate()})`,
    },
    {
      record: "istio_lab:version_share:ratio",
      expr: "istio_lab:version_requests:rate / scalar(sum(istio_lab:version_requests:rate) > 0)",
    },
    ...Object.entries(weights).map(([name, weight]) => ({
      record: "istio_lab:version_weight:ratio",
      labels: { [by]: `nginx-${name}` },
      expr: `vector(${weight / 100})`,
    })),
    {
      record: "istio_lab:version_share_off_weight:ratio",
      expr: `istio_lab:version_share:ratio - on (${by}) istio_lab:version_weight:ratio`,
    },
    {
      record: "istio_lab:version_errors:ratio",
      expr: `sum by (${by}) (${rate(',response_code=~"5..|0"')}) / istio_lab:version_requests:rate`,
    },
    {
      record: "istio_lab:version_duration_milliseconds:p99",
      expr:
        `histogram_quantile(0.99, sum by (${by}, le) ` +
        `(${rate("", "istio_request_duration_milliseconds_bucket")}))`,
    },
  ];
}

function alerting({ gateway, haproxy, scrapeSeconds }: RulesArgs) {
  const version = "{{ $labels.destination_workload }}";
  const window = rateWindow(scrapeSeconds);
  return [
    alert("VersionShareOffWeight", {
      expr:
        `abs(istio_lab:version_share_off_weight:ratio) > ${MOST_OFF} and on () ` +
        "sum(istio_lab:version_requests:rate) > 1",
      for: "5m",
      summary: `The share of ${version} is {{ $value | humanizePercentage }} off its weight`,
    }),
    alert("VersionErrors", {
      expr: "istio_lab:version_errors:ratio > 0.05",
      for: "2m",
      summary: `{{ $value | humanizePercentage }} of the requests to ${version} fail`,
    }),
    alert("VersionSlow", {
      expr: "istio_lab:version_duration_milliseconds:p99 > 1000",
      for: "5m",
      summary: `${version} answers one request in a hundred after {{ $value | humanize }} ms or later`,
    }),
    alert("PrometheusStoresNothing", {
      expr: `time() - max(timestamp(up)) > ${staleSeconds(scrapeSeconds)} or absent(up)`,
      for: "1m",
      summary: "Prometheus has stored no sample for a minute: is its volume full?",
    }),
    alert("NoIngressGateway", {
      expr:
        `absent(up{job="istio-proxies",namespace="${gateway.namespace}",` +
        `pod=~"${gateway.service}-.*"} == 1)`,
      for: "1m",
      summary: "No ingress gateway is scraped: requests have no way in",
    }),
    ...(haproxy
      ? [
          alert("HAProxyServerDown", {
            expr: 'max by (proxy, server) (haproxy_server_status{state="UP",proxy!~".*-unchecked"}) == 0',
            for: "1m",
            summary:
              "HAProxy sends nothing to server {{ $labels.server }} of {{ $labels.proxy }}: its check fails",
          }),
          alert("HAProxyClosesConnections", {
            expr: `sum(rate(haproxy_frontend_denied_connections_total[${window}])) > 0`,
            for: "2m",
            summary:
              "HAProxy closes connections: an address has more than loadBalancer.connectionsPerSource " +
              "(many clients behind a NAT, or a proxy for loadBalancer.trustedProxies)",
          }),
          alert("HAProxyDown", {
            expr: 'up{job="haproxy"} == 0',
            for: "1m",
            summary: "HAProxy's exporter on the load balancer does not answer",
          }),
        ]
      : []),
  ];
}

function alert(
  name: string,
  { expr, for: duration, summary }: { expr: string; for: string; summary: string },
) {
  return { alert: name, expr, for: duration, labels: ALERT_LABELS, annotations: { summary } };
}
