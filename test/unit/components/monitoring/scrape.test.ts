/** Tests of components/monitoring/scrape.ts. */
import { expect, test } from "vitest";
import { parse } from "yaml";
import { exporterAddress } from "../../../../components/monitoring/monitoring.ts";
import { prometheusConfig, type ScrapeArgs } from "../../../../components/monitoring/scrape.ts";

const ARGS: ScrapeArgs = {
  namespaces: ["default", "istio-system"],
  gateway: { namespace: "istio-system", service: "istio-ingressgateway" },
  istiodNamespace: "istio-system",
  scrapeSeconds: 15,
  standIn: false,
};
const jobs = (change: Partial<ScrapeArgs> = {}) =>
  (parse(prometheusConfig({ ...ARGS, ...change })) as { scrape_configs: { job_name: string }[] })
    .scrape_configs;
const job = (name: string, change: Partial<ScrapeArgs> = {}) =>
  jobs(change).find(({ job_name }) => job_name === name);

test("proxies, istiod and Prometheus itself; HAProxy where it can be reached", () => {
  expect(jobs().map(({ job_name }) => job_name)).toEqual(["istio-proxies", "istiod", "prometheus"]);
  const address = "10.0.0.1:8404";
  const haproxy = { address, responseTimes: ["/latency"] };
  expect(job("haproxy", { haproxy })).toEqual({
    job_name: "haproxy",
    static_configs: [{ targets: [address] }],
  });
  expect(job("haproxy-latency", { haproxy })).toEqual({
    job_name: "haproxy-latency",
    metrics_path: "/latency",
    static_configs: [{ targets: [address] }],
  });
});

test("each path of HAProxy's response times is a target of its own, with a label of its own", () => {
  const address = "10.0.0.1:8404";
  const haproxy = { address, responseTimes: ["/latency", "/latency/2"] };
  expect(job("haproxy-latency", { haproxy })).toMatchObject({
    metrics_path: "/latency",
    static_configs: [
      { targets: [address] },
      { targets: [address], labels: { __metrics_path__: "/latency/2", page: "/latency/2" } },
    ],
  });
});

test("the proxies' merged port, in the namespaces of the application and the gateway only", () => {
  expect(job("istio-proxies")).toMatchObject({
    metrics_path: "/stats/prometheus",
    kubernetes_sd_configs: [{ role: "pod", namespaces: { names: ["default", "istio-system"] } }],
  });
  expect(JSON.stringify(job("istio-proxies"))).toContain("$1:15020");
});

test("Istio's own proxies need no relabeling of series", () => {
  expect(job("istio-proxies")).not.toHaveProperty("metric_relabel_configs");
  expect(job("istio-proxies", { standIn: true })).toHaveProperty("metric_relabel_configs");
});

test("istiod's series have the label that Istio's dashboard of the control plane filters by", () => {
  expect(job("istiod")).toMatchObject({
    relabel_configs: expect.arrayContaining([
      expect.objectContaining({ source_labels: ["__meta_kubernetes_pod_label_app"], target_label: "app" }),
    ]),
  });
});

test("a scrape never takes longer than the time to the next one", () => {
  expect(parse(prometheusConfig({ ...ARGS, scrapeSeconds: 2 }))).toMatchObject({
    global: { scrape_interval: "2s", scrape_timeout: "2s" },
  });
  expect(parse(prometheusConfig({ ...ARGS, scrapeSeconds: 60 }))).toMatchObject({
    global: { scrape_interval: "60s", scrape_timeout: "10s" },
  });
});

test.each([
  [undefined, undefined],
  ["127.0.0.1", undefined],
  ["::1", undefined],
  ["0.0.0.0", "lb.example:8404"],
  ["::", "lb.example:8404"],
  ["10.0.0.7", "10.0.0.7:8404"],
  ["fd00::7", "[fd00::7]:8404"],
])("an exporter on %s is reached at %s", (address, expected) => {
  expect(exporterAddress("lb.example", address === undefined ? undefined : { address, port: 8404 })).toBe(
    expected,
  );
});
