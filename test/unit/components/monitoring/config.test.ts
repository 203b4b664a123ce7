/** Tests of components/monitoring/config.ts. */
import { expect, test } from "vitest";
import { faultsOf, settings } from "../../../support/settings.ts";

test("off unless it is set", () => {
  expect(settings().monitoring).toBeUndefined();
  expect(settings({ monitoring: { retention: "1h" } }).monitoring).toBeUndefined();
});

test("on: an official image and the defaults of the documentation", () => {
  expect(settings({ monitoring: { enabled: true } }).monitoring).toEqual({
    scrapeSeconds: 15,
    standIn: false,
    url: undefined,
    deployed: { image: "prom/prometheus:v3.5.0", retention: "24h", memory: "512Mi", storage: undefined },
  });
});

test("an existing Prometheus: nothing is deployed", () => {
  const { monitoring } = settings({ monitoring: { url: "http://prometheus.monitoring:9090" } });
  expect(monitoring).toMatchObject({ url: "http://prometheus.monitoring:9090", deployed: undefined });
});

test.each([
  [{ enabled: "yes" }, "monitoring.enabled", "true or false"],
  [{ enabled: true, url: "http://x:9090" }, "monitoring.url", "set one of the two"],
  [{ url: "prometheus:9090" }, "monitoring.url", "address of a Prometheus"],
  [{ url: "http://user:secret@x/" }, "monitoring.url", "without credentials"],
  [{ url: "http://:secret@x/" }, "monitoring.url", "without credentials"],
  [{ url: "https://x/?tenant=1" }, "monitoring.url", "without credentials"],
  [{ url: "https://x/?" }, "monitoring.url", "address of a Prometheus"],
  [{ url: "https://x/#/graph" }, "monitoring.url", "address of a Prometheus"],
  [{ url: "ftp://x/" }, "monitoring.url", "address of a Prometheus"],
  [{ url: "http://" }, "monitoring.url", "address of a Prometheus"],
  [{ url: "http://x:99999/" }, "monitoring.url", "address of a Prometheus"],
  [{ url: "http://x:0/" }, "monitoring.url", "address of a Prometheus"],
  [{ url: "http://x", storage: { size: "2Gi" } }, "monitoring.storage", "nothing is deployed"],
  [{ enabled: true, retention: "a day" }, "monitoring.retention", "15d"],
  ...["-1d", "7 days", "0", "0d", "", "15", "1h2d", "1d1d", "1.5d", "1D", "300y", "9999999999s"].map(
    (retention): [object, string, string] => [{ enabled: true, retention }, "monitoring.retention", "15d"],
  ),
  [{ enabled: true, retention: 24 }, "monitoring.retention", "15d"],
  [{ enabled: true, scrapeSeconds: 0 }, "monitoring.scrapeSeconds", "1 to 300"],
  ...["2 GB", "1GB", "0Gi", "-1Gi", "1.5.Gi", "1e9", "5", "100Mi", "2gi", "Gi", ""].map(
    (size): [object, string, string] => [
      { enabled: true, storage: { size } },
      "monitoring.storage.size",
      "512Mi or more, e.g. 2Gi",
    ],
  ),
  [{ enabled: true, storage: { size: 5 } }, "monitoring.storage.size", "2Gi"],
  ...["64Mi", "1 Gi", "0", ""].map((memory): [object, string, string] => [
    { enabled: true, memory },
    "monitoring.memory",
    "128Mi or more, e.g. 1Gi",
  ]),
  [
    { enabled: true, storage: { size: "2Gi", storageClass: "Fast!" } },
    "monitoring.storage.storageClass",
    "name",
  ],
  [
    { enabled: true, storage: { size: "2Gi", class: "fast" } },
    "monitoring.storage.class",
    "size, storageClass",
  ],
  [{ enabled: true, storage: "2Gi" }, "monitoring.storage", "size and storageClass"],
  [{ enabled: true, scrapeSeconds: 0.5 }, "monitoring.scrapeSeconds", "1 to 300"],
  [{ enabled: true, scrapeSeconds: "15s" }, "monitoring.scrapeSeconds", "1 to 300"],
  [{ enabled: true, image: "http://prom" }, "monitoring.image", "image reference"],
  [{ enabled: true, storage: {} }, "monitoring.storage.size", "2Gi"],
  [{ enabled: true, proxies: "linkerd" }, "monitoring.proxies", "istio or envoy"],
  [{ enable: true }, "monitoring.enable", "did you mean enabled?"],
])("%j", (monitoring, key, right) => {
  const [fault = "", ...others] = faultsOf({ monitoring });
  expect(others).toEqual([]);
  expect(fault).toContain(`${key} `);
  expect(fault).toContain(right);
});

test.each(["15d", "1d12h", "90m", "1y", "2w3d"])("samples are kept for %s", (retention) => {
  const { monitoring } = settings({ monitoring: { enabled: true, retention } });
  expect(monitoring?.deployed?.retention).toBe(retention);
});

test.each(["http://x/prometheus", "https://[fd00::1]:9090", "http://x/"])("a Prometheus at %s", (url) => {
  expect(settings({ monitoring: { url } }).monitoring?.url).toBe(url);
});
