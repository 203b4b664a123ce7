/** Tests of embedded/lab/alerts.ts. */
import { expect, test } from "vitest";
import { alertsOf } from "../../../../embedded/lab/alerts.ts";
import { apiOf } from "../../../support/clusterServer.ts";

const MONITORING = {
  namespace: "observe",
  service: "prometheus",
  port: 9090,
  scrapeSeconds: 2,
  gateway: "istio-ingressgateway",
};
const PODS = "/api/v1/namespaces/observe/pods";
const ALERTS = "/api/v1/namespaces/observe/services/prometheus:9090/proxy/api/v1/alerts";

test("alerts that fire, each with its summary", async () => {
  const alert = (alertname: string, state: string) => ({
    state,
    labels: { alertname },
    annotations: { summary: `${alertname} is so` },
  });
  const alerts = [alert("NoIngressGateway", "firing"), alert("VersionSlow", "pending")];
  const { api } = await apiOf({ [ALERTS]: { status: "success", data: { alerts } } });
  expect(await alertsOf(api, { monitoring: MONITORING })).toEqual([
    "NoIngressGateway: NoIngressGateway is so",
  ]);
});

test("a Prometheus that does not answer counts as an alert, in the API server's words", async () => {
  const { api } = await apiOf({ [ALERTS]: 503, [PODS]: 403 });
  expect(await alertsOf(api, { monitoring: MONITORING })).toEqual(["Prometheus does not answer: no"]);
});

test("the state of Prometheus' pod says why it does not answer", async () => {
  const { api } = await apiOf({ [ALERTS]: 503, [PODS]: { items: [] } });
  expect(await alertsOf(api, { monitoring: MONITORING })).toEqual([
    "Prometheus does not answer: it has no pod",
  ]);
});

test.each([
  ["is off", undefined],
  ["is a Prometheus of the user's own", { ...MONITORING, url: "http://prometheus:9090" }],
])("no alerts where monitoring %s", async (_, monitoring) => {
  const { api, requests } = await apiOf({});
  expect(await alertsOf(api, { monitoring })).toEqual([]);
  expect(requests).toEqual([]);
});
