/** Tests of components/monitoring/rules.ts. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { ALERT_LABELS, prometheusRules, type RulesArgs } from "../../../../components/monitoring/rules.ts";

const ARGS: RulesArgs = {
  namespace: "default",
  weights: { v116: 90, v117: 10 },
  gateway: { namespace: "istio-system", service: "istio-ingressgateway" },
  haproxy: true,
  scrapeSeconds: 15,
};

const promtool = (...args: string[]) => spawnSync("promtool", args, { cwd: directory, encoding: "utf8" });
/** `./lab test` installs it; `npm test` alone skips the tests that need it. */
const without = spawnSync("promtool", ["--version"]).error ? "promtool is not on PATH" : undefined;

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "istio-lab-rules-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A counter of so many requests a minute, for twenty minutes. */
const requests = (workload: string, perMinute: number, code = "200") => ({
  series: `istio_requests_total{reporter="source",destination_workload_namespace="default",destination_workload="nginx-${workload}",response_code="${code}"}`,
  values: `0+${perMinute / 4}x80`,
});

interface Alert {
  alertname: string;
  eval_time: string;
  exp_alerts: { exp_labels: Record<string, string> }[];
}

/** Runs promtool's own unit test on the rendered rules. */
function check(input_series: object[], alerts: Alert[], samples: object[] = []): string {
  writeFileSync(join(directory, "rules.yml"), prometheusRules(ARGS));
  const tests = [{ interval: "15s", input_series, alert_rule_test: alerts, promql_expr_test: samples }];
  const file = stringify({ rule_files: ["rules.yml"], evaluation_interval: "15s", tests });
  writeFileSync(join(directory, "test.yml"), file);
  const { stdout, stderr, status } = promtool("test", "rules", "test.yml");
  return status === 0 ? "ok" : `${stdout}${stderr}`;
}

const alert = (alertname: string, ...labels: Record<string, string>[]): Alert => ({
  alertname,
  eval_time: "15m",
  exp_alerts: labels.map((each) => ({ exp_labels: { ...ALERT_LABELS, ...each } })),
});

test.skipIf(without)("promtool accepts the rules, with and without HAProxy", () => {
  for (const haproxy of [true, false]) {
    writeFileSync(join(directory, "rules.yml"), prometheusRules({ ...ARGS, haproxy }));
    const { status, stdout } = promtool("check", "rules", "rules.yml");
    expect([status, stdout]).toEqual([0, expect.stringContaining("SUCCESS")]);
  }
});

test.skipIf(without)("every recording rule", () => {
  const bucket = (le: string, perMinute: number) => ({
    series: `istio_request_duration_milliseconds_bucket{reporter="source",destination_workload_namespace="default",destination_workload="nginx-v117",le="${le}"}`,
    values: `0+${perMinute / 4}x80`,
  });
  const series = [
    ...[requests("v116", 180), requests("v117", 90), requests("v117", 30, "503")],
    ...[bucket("100", 60), bucket("200", 120), bucket("+Inf", 120)],
    // Series of the sidecar and of other namespaces do not count.
    { ...requests("v117", 500), series: requests("v117", 0).series.replace("source", "destination") },
    { ...requests("v117", 500), series: requests("v117", 0).series.replace('"default"', '"other"') },
  ];
  const labels = '{destination_workload="nginx-v117"}';
  const values: Record<string, number> = {
    "istio_lab:version_requests:rate": 2,
    "istio_lab:version_share:ratio": 0.4,
    "istio_lab:version_weight:ratio": 0.1,
    "istio_lab:version_share_off_weight:ratio": 0.3,
    "istio_lab:version_errors:ratio": 0.25,
    "istio_lab:version_duration_milliseconds:p99": 198,
  };
  const rules = parse(prometheusRules(ARGS)) as { groups: { rules: { record?: string }[] }[] };
  const recorded = rules.groups.flatMap((group) => group.rules.flatMap(({ record }) => record ?? []));
  expect(Object.keys(values)).toEqual([...new Set(recorded)]);
  const samples = Object.entries(values).map(([name, value]) => ({
    expr: `round(${name}${labels}, 0.001)`,
    eval_time: "15m",
    exp_samples: [{ labels, value }],
  }));
  expect(check(series, [], samples)).toBe("ok");
});

test.skipIf(without)("shares as weighted: no alert, and the share stands beside the weight", () => {
  const labels = '{destination_workload="nginx-v116"}';
  const samples = ["share", "weight"].map((name) => ({
    expr: `round(istio_lab:version_${name}:ratio${labels}, 0.001)`,
    eval_time: "15m",
    exp_samples: [{ labels, value: 0.9 }],
  }));
  const series = [requests("v116", 900), requests("v117", 100)];
  const none = [alert("VersionShareOffWeight"), alert("VersionErrors")];
  expect(check(series, none, samples)).toBe("ok");
});

test.skipIf(without)("a share off its weight is an alert for each version", () => {
  const series = [requests("v116", 500), requests("v117", 500)];
  const off = ["v116", "v117"].map((name) => ({ destination_workload: `nginx-${name}` }));
  const outcome = check(series, [alert("VersionShareOffWeight", ...off)]);
  // The annotations hold the figure; promtool compares them too.
  expect(outcome).toContain("40% off its weight");
});

test.skipIf(without)("errors of one version", () => {
  const series = [requests("v116", 900), requests("v117", 80), requests("v117", 20, "503")];
  expect(check(series, [alert("VersionErrors")])).toContain('destination_workload="nginx-v117"');
});

test.skipIf(without)("a version that answers one request in fifty after more than a second", () => {
  const bucket = (workload: string, le: string, perMinute: number) => ({
    series: `istio_request_duration_milliseconds_bucket{reporter="source",destination_workload_namespace="default",destination_workload="nginx-${workload}",le="${le}"}`,
    values: `0+${perMinute / 4}x80`,
  });
  const times = (workload: string, quick: number) => [
    bucket(workload, "1000", quick),
    bucket(workload, "5000", 1000),
    bucket(workload, "+Inf", 1000),
  ];
  expect(check([...times("v116", 1000), ...times("v117", 1000)], [alert("VersionSlow")])).toBe("ok");
  const outcome = check([...times("v116", 1000), ...times("v117", 980)], [alert("VersionSlow")]);
  expect(outcome).toContain('destination_workload="nginx-v117"');
  expect(outcome).not.toContain('destination_workload="nginx-v116"');
});

test.skipIf(without)("no gateway, a server that is down, an exporter that is silent", () => {
  const up = (job: string, extra: string, value: number) => ({
    series: `up{job="${job}"${extra}}`,
    values: `${value}x80`,
  });
  const gateway = (value: number) =>
    up("istio-proxies", ',namespace="istio-system",pod="istio-ingressgateway-1"', value);
  const server = (value: number) => ({
    series: 'haproxy_server_status{proxy="k8s-istio-ingress-gateway",server="node02",state="UP"}',
    values: `${value}x80`,
  });
  const none = [alert("NoIngressGateway"), alert("HAProxyServerDown"), alert("HAProxyDown")];
  expect(check([gateway(1), server(1), up("haproxy", "", 1)], none)).toBe("ok");
  const outcome = check([gateway(0), server(0), up("haproxy", "", 0)], none);
  for (const name of ["NoIngressGateway", "HAProxyServerDown", "HAProxyDown"])
    expect(outcome).toContain(name);
});

test.skipIf(without)("an address with more connections than it may have", () => {
  const denied = (values: string) => [
    { series: 'haproxy_frontend_denied_connections_total{proxy="http"}', values },
    { series: 'haproxy_frontend_denied_connections_total{proxy="worker"}', values: "0x80" },
  ];
  const none = [alert("HAProxyClosesConnections")];
  expect(check(denied("7x80"), none)).toBe("ok");
  expect(check(denied("0+1x80"), none)).toContain("loadBalancer.connectionsPerSource");
});

test.skipIf(without)("a Prometheus that can no longer store samples, as on a full disk", () => {
  const up = (values: string) => [{ series: 'up{job="prometheus"}', values }];
  const none = [alert("PrometheusStoresNothing")];
  expect(check(up("1x80"), none)).toBe("ok");
  // A target that is down is not such a case: Prometheus stores that it is down.
  expect(check(up("0x80"), none)).toBe("ok");
  // Samples until minute 12, within the five minutes that Prometheus looks back; and until minute 5, beyond
  // them.
  for (const stored of [48, 20]) expect(check(up(`1x${stored}`), none)).toContain("is its volume full?");
});

test("the weights are in the rules", () => {
  expect(prometheusRules(ARGS)).toContain("expr: vector(0.9)");
});
