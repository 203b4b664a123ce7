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
    deployed: { image: "prom/prometheus:v3.5.0", retention: "24h", storage: undefined },
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
  [{ url: "http://user:secret@x/" }, "monitoring.url", "address of a Prometheus"],
  [{ enabled: true, retention: "a day" }, "monitoring.retention", "15d"],
  [{ enabled: true, retention: "-1d" }, "monitoring.retention", "15d"],
  [{ enabled: true, scrapeSeconds: 0 }, "monitoring.scrapeSeconds", "1 to 300"],
  [{ enabled: true, storage: { size: "2 GB" } }, "monitoring.storage.size", "2Gi"],
  [{ enabled: true, storage: { size: "0Gi" } }, "monitoring.storage.size", "2Gi"],
  [{ enabled: true, storage: {} }, "monitoring.storage.size", "2Gi"],
  [{ enabled: true, proxies: "linkerd" }, "monitoring.proxies", "istio or envoy"],
  [{ enable: true }, "monitoring.enable", "did you mean enabled?"],
])("%j", (monitoring, key, right) => {
  const [fault = "", ...others] = faultsOf({ monitoring });
  expect(others).toEqual([]);
  expect(fault).toContain(`${key} `);
  expect(fault).toContain(right);
});
