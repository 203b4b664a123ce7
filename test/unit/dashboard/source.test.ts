/** Tests of dashboard/source.ts. */
import { expect, test } from "vitest";
import { queriesOf } from "../../../dashboard/measure.ts";
import { proxyPath, Source, type SourceArgs } from "../../../dashboard/source.ts";
import { apiOf, type Paths } from "../../support/clusterServer.ts";

const PROMETHEUS = { namespace: "observe", service: "prometheus", port: 9090 };
const VIRTUAL_SERVICE = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/nginx";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments";
const WRITTEN = "2026-01-02T03:04:05Z";
const NO_SERIES = { status: "success", data: { result: [] } };
const QUERY = `${proxyPath(PROMETHEUS)}/api/v1/query`;
/** The age of the newest sample. */
const AGE = `${QUERY}?query=${encodeURIComponent(queriesOf({ namespace: "shop" }, 10).age)}`;
const FRESH = { status: "success", data: { result: [{ metric: {}, value: [0, "0"] }] } };
const ALERTS = `${proxyPath(PROMETHEUS)}/api/v1/alerts`;

/** A VirtualService with the versions in reverse order, as the program writes it. */
const virtualService = (v116: number) => ({
  metadata: { name: "nginx", managedFields: [{ time: "2020-01-01T00:00:00Z" }, { time: WRITTEN }] },
  spec: {
    http: [
      {
        route: [
          { destination: { host: "nginx-svc", subset: "v117" }, weight: 100 - v116 },
          { destination: { host: "nginx-svc", subset: "v116" }, weight: v116 },
        ],
      },
    ],
  },
});

const cluster = (): Record<string, object | number> => ({
  [VIRTUAL_SERVICE]: virtualService(50),
  [DEPLOYMENTS]: {
    items: [
      { metadata: { name: "nginx-v116" }, spec: { replicas: 3 }, status: { readyReplicas: 2 } },
      { metadata: { name: "nginx-v117" }, spec: { replicas: 0 }, status: {} },
      { metadata: { name: "nginx-other" } },
    ],
  },
  [QUERY]: NO_SERIES,
  [AGE]: FRESH,
  [`${proxyPath(PROMETHEUS)}/api/v1/query_range`]: NO_SERIES,
  [ALERTS]: { status: "success", data: { alerts: [] } },
});

async function sourceOf(paths: Paths, change: Partial<SourceArgs> = {}) {
  const { api, requests } = await apiOf(paths);
  const source = new Source({
    api,
    url: "http://shop/",
    namespace: "shop",
    versions: ["v116", "v117"],
    prometheus: PROMETHEUS,
    scrapeSeconds: 2,
    links: [],
    ...change,
  });
  return { requests, picture: () => source.picture(AbortSignal.timeout(5000)) };
}

test("weights, their time and pods come from the API server, in the order of the configuration", async () => {
  const { picture } = await sourceOf(cluster());
  const { versions, changes, url } = await picture();
  expect(url).toBe("http://shop/");
  expect(versions.map(({ name, weight, pods }) => [name, weight, pods])).toEqual([
    ["v116", 50, { ready: 2, wanted: 3 }],
    ["v117", 50, { ready: 0, wanted: 0 }],
  ]);
  expect(changes).toEqual([{ at: Date.parse(WRITTEN), weights: { v116: 50, v117: 50 } }]);
});

test("a change of the weights is a mark from that moment on; the same weights again are none", async () => {
  const paths = cluster();
  const { picture } = await sourceOf(paths);
  await picture();
  await picture();
  paths[VIRTUAL_SERVICE] = virtualService(90);
  const before = Date.now();
  const { changes } = await picture();
  expect(changes.map(({ weights }) => weights)).toEqual([
    { v116: 50, v117: 50 },
    { v116: 90, v117: 10 },
  ]);
  expect(changes[1]?.at).toBeGreaterThanOrEqual(before);
});

test("what is not measured is named", async () => {
  const { problems } = await (await sourceOf(cluster())).picture();
  expect(problems.join(" ")).toMatch(/HAProxy is not measured: set stats\.prometheus.*gateway has reported/);
});

test("the lab's own alerts that fire are named, whatever else that Prometheus watches", async () => {
  const alert = (alertname: string, summary: string, part_of: string, state = "firing") => ({
    state,
    labels: { alertname, part_of },
    annotations: { summary },
  });
  const alerts = [
    alert("NoIngressGateway", "No gateway", "istio-lab"),
    alert("VersionSlow", "not yet", "istio-lab", "pending"),
    alert("DiskFull", "of others", "elsewhere"),
  ];
  const paths = { ...cluster(), [ALERTS]: { status: "success", data: { alerts } } };
  const { problems } = await (await sourceOf(paths)).picture();
  expect(problems.filter((problem) => problem.startsWith("Alert"))).toEqual([
    "Alert NoIngressGateway: No gateway.",
  ]);
});

test.each([
  ["the routes are missing", { [VIRTUAL_SERVICE]: 404 }, "no VirtualService nginx in namespace shop"],
  [
    "Prometheus' Service is missing",
    { [AGE]: 404, [QUERY]: 404 },
    "no Service prometheus in namespace observe",
  ],
  ["Prometheus stores nothing", { [AGE]: NO_SERIES }, "Prometheus answers but has stored no sample"],
  [
    "Prometheus is down",
    { [`${proxyPath(PROMETHEUS)}/api/v1/query_range`]: 503 },
    "Prometheus in namespace observe does not answer",
  ],
])("%s: the error says so", async (_, change, words) => {
  const { picture } = await sourceOf({ ...cluster(), ...change });
  await expect(picture()).rejects.toThrow(words);
});

test("Prometheus is down: the error has the state of its pod", async () => {
  const status = {
    phase: "Running",
    containerStatuses: [
      { ready: false, restartCount: 2, lastState: { terminated: { reason: "OOMKilled", exitCode: 137 } } },
    ],
  };
  const pods = { items: [{ metadata: { name: "prometheus-1" }, status }] };
  const { picture } = await sourceOf({ ...cluster(), [QUERY]: 503, "/api/v1/namespaces/observe/pods": pods });
  await expect(picture()).rejects.toThrow(
    "Prometheus in namespace observe does not answer: its pod prometheus-1 has run out of memory (OOMKilled; " +
      "monitoring.memory is its limit) after 2 restarts",
  );
});

test.each([
  [-3, []],
  [-90, ["This machine's clock is 90 s ahead of Prometheus': the marks in the chart are off by that."]],
  [90, ["This machine's clock is 90 s behind Prometheus': the marks in the chart are off by that."]],
])("Prometheus' clock is %d s off", async (seconds, wanted) => {
  const now = String(Date.now() / 1000 + seconds);
  const clock = `${QUERY}?query=${encodeURIComponent("vector(time())")}`;
  const answer = { status: "success", data: { result: [{ metric: {}, value: [0, now] }] } };
  const { picture } = await sourceOf({ ...cluster(), [clock]: answer });
  expect((await picture()).problems.filter((problem) => problem.includes("clock"))).toEqual(wanted);
});

test("an API server that does not answer is an error within the time for one answer", async () => {
  const { api } = await apiOf({}, { silent: true });
  const source = new Source({
    api,
    url: "http://shop/",
    namespace: "shop",
    versions: [],
    prometheus: PROMETHEUS,
    scrapeSeconds: 2,
    links: [],
    answerMs: 100,
  });
  await expect(source.picture(AbortSignal.timeout(20_000))).rejects.toThrow(/answer/);
});

test("a Prometheus of the user's own is queried at its address, not through the API server", async () => {
  const { requests, picture } = await sourceOf(cluster(), { prometheus: { url: "http://127.0.0.1:9/" } });
  await expect(picture()).rejects.toThrow("Prometheus at http://127.0.0.1:9/ does not answer: bad port");
  expect(requests.join(" ")).not.toContain("/proxy/");
});

test("the queries name the stack's own backend in haproxy.cfg", async () => {
  const backend = "shop-backend";
  const { edgeRequests, serversUp } = queriesOf({ namespace: "shop", backend }, 10);
  const one = { metric: { server: "node02" }, value: [0, "1"] };
  const answer = { status: "success", data: { result: [one] } };
  const paths = [edgeRequests, serversUp].map((query) => [
    `${QUERY}?query=${encodeURIComponent(query)}`,
    answer,
  ]);
  const { picture } = await sourceOf({ ...cluster(), ...Object.fromEntries(paths) }, { backend });
  expect((await picture()).servers).toMatchObject([{ name: "node02", state: "up" }]);
});
