/** Tests of dashboard/measure.ts. */
import { expect, test } from "vitest";
import { historyOf, measure, queriesOf } from "../../../dashboard/measure.ts";
import { RESPONSE_TIME } from "../../../haproxy/responseTimes.ts";

interface Answer {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly values?: [number, string][];
}

/** Prometheus with these answers by expression and fresh samples; every other expression has no series. */
function prometheus(answers: Record<string, Answer[]>, age: Answer[] = [{ metric: {}, value: [0, "1.5"] }]) {
  const seen: string[] = [];
  const get = async (path: string) => {
    const expression = new URL(path, "http://x").searchParams.get("query") ?? "";
    seen.push(expression);
    const result = expression === QUERIES.age ? age : answers[expression];
    return { status: "success", data: { result: result ?? [] } };
  };
  return { get, seen };
}

const ARGS = {
  namespace: "default",
  versions: ["v116", "v117"],
  scrapeSeconds: 2,
  signal: AbortSignal.timeout(5000),
};
const QUERIES = queriesOf(ARGS, 10);
const workload = (name: string, value: string): Answer => ({
  metric: { destination_workload: `nginx-${name}` },
  value: [0, value],
});

test("the answers find their version, server and figure", async () => {
  const server = (name: string, code: string, value: string): Answer => ({
    metric: { server: name, code },
    value: [0, value],
  });
  const { get } = prometheus({
    [QUERIES.requests]: [workload("v117", "40"), workload("v116", "60")],
    [QUERIES.p99]: [workload("v116", "NaN"), workload("v117", "12.5")],
    [QUERIES.gatewayRequests]: [{ metric: {}, value: [0, "101"] }],
    [QUERIES.edgeRequests]: [{ metric: {}, value: [0, "102"] }],
    [QUERIES.serversUp]: [server("node03", "", "0"), server("node02", "", "1")],
    [QUERIES.serversMean]: [server("node02", "", "0.0125")],
    [QUERIES.serversTimes]: [
      { metric: { server: "node02", le: "+Inf" }, value: [0, "100"] },
      { metric: { server: "node02", le: "0.025" }, value: [0, "99"] },
      { metric: { server: "node02", le: "0.005" }, value: [0, "40"] },
    ],
    [QUERIES.edgeMean]: [{ metric: {}, value: [0, "0.013"] }],
    [QUERIES.serversSent]: [server("node02", "2xx", "100"), server("node02", "5xx", "2")],
  });
  const measured = await measure({ ...ARGS, get });
  expect(measured).toMatchObject({
    windowSeconds: 10,
    versions: [
      { name: "v116", requests: 60, errors: 0, p99: null },
      { name: "v117", requests: 40, p99: 12.5 },
    ],
    gateway: { requests: 101 },
    haproxy: {
      requests: 102,
      mean: 13,
      servers: [
        {
          ...{ name: "node02", state: "up", requests: 102, errors: 2, mean: 12.5 },
          times: [
            { upTo: 5, count: 40 },
            { upTo: 25, count: 99 },
            { upTo: null, count: 100 },
          ],
        },
        { name: "node03", state: "down", requests: 0, mean: null, times: [] },
      ],
    },
  });
});

test("where HAProxy is not scraped its part is missing, not zero", async () => {
  const measured = await measure({ ...ARGS, get: prometheus({}).get });
  expect(measured.haproxy).toBeUndefined();
  expect(measured.gateway).toBeUndefined();
});

test("the expressions use the standard names of Istio and HAProxy and the window of four scrapes", async () => {
  const { get, seen } = prometheus({});
  await measure({ ...ARGS, scrapeSeconds: 15, get });
  expect(seen.join("\n")).toContain("[60s]");
  const names = new Set(seen.join(" ").match(/\b(istio|haproxy)_[a-z_]+/g));
  expect([...names].sort()).toEqual([
    "haproxy_backend_http_requests_total",
    "haproxy_backend_http_responses_total",
    "haproxy_backend_response_time_average_seconds",
    "haproxy_server_http_responses_total",
    "haproxy_server_response_time_average_seconds",
    `${RESPONSE_TIME}_bucket`,
    "haproxy_server_status",
    "istio_request_duration_milliseconds_bucket",
    "istio_requests_total",
  ]);
});

test.each([
  ["old samples", [{ metric: {}, value: [0, "42.3"] as [number, string] }], "no sample for 42 s"],
  ["no sample", [], "no sample for minutes"],
])(
  "a Prometheus that answers out of %s is an error, not a picture without requests",
  async (_, age, words) => {
    const { get } = prometheus({ [QUERIES.requests]: [workload("v116", "60")] }, age);
    await expect(measure({ ...ARGS, get })).rejects.toThrow(words);
  },
);

test("the history ends at Prometheus' own time, and the difference of the clocks is known", async () => {
  const now = Date.now() / 1000 - 600;
  const { get } = prometheus({ "vector(time())": [{ metric: {}, value: [0, String(now)] }] });
  const ranges: URLSearchParams[] = [];
  const { clockAhead } = await measure({
    ...ARGS,
    get: (path) => {
      const { searchParams } = new URL(path, "http://x");
      if (searchParams.has("end")) ranges.push(searchParams);
      return get(path);
    },
  });
  expect(ranges.map((range) => range.get("end"))).toEqual([String(Math.floor(now))]);
  expect(Math.round(clockAhead / 100)).toBe(6);
});

test("a sample as old as three scrapes is fresh", async () => {
  const { get } = prometheus({}, [{ metric: {}, value: [0, "44"] }]);
  await expect(measure({ ...ARGS, scrapeSeconds: 15, get })).resolves.toBeDefined();
});

test("Prometheus' own words come through", async () => {
  const get = async () => ({ status: "error", error: "parse error" });
  await expect(measure({ ...ARGS, get })).rejects.toThrow("Prometheus: parse error");
});

test("shares over time: a moment without requests has none", () => {
  const series = [
    {
      labels: { destination_workload: "nginx-v116" },
      points: new Map([
        [1, 3],
        [2, 0],
        [3, null],
      ]),
    },
    {
      labels: { destination_workload: "nginx-v117" },
      points: new Map([
        [1, 1],
        [2, 0],
      ]),
    },
  ];
  expect(historyOf(series, ["v116", "v117"])).toEqual({
    times: [1, 2, 3],
    shares: { v116: [75, null, null], v117: [25, null, null] },
  });
});
