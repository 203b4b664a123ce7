// Metrics, traces and the live page, on a lab with Prometheus and Zipkin.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { labEnvironment, PROGRAM } from "../../embedded/lab/stack.ts";
import { ensureBrowser } from "../../embedded/toolchain/browser.ts";
import { RequestLoop } from "../../probe/loop.ts";
import { allowed } from "../../probe/verdict.ts";
import { DashboardPage, withServerStates } from "../support/e2e/dashboard.ts";
import { renewPicture } from "../support/e2e/docsPicture.ts";
import { TestLab } from "../support/e2e/harness.ts";
import { allAnswers, MESH_QUERIES } from "../support/e2e/meshQueries.ts";
import {
  allScraped,
  byVersion,
  deletePrometheusPod,
  newestTraces,
  newSpanId,
  newTraceId,
  ownedBy,
  patchPrometheus,
  prometheusPod,
  promql,
  spansOf,
  wholeTrace,
} from "../support/e2e/metrics.ts";
import { createVolume, MESH_POLICIES, OthersMonitoring } from "../support/e2e/others.ts";
import { OtlpCollector } from "../support/e2e/otlp.ts";
import { SOON } from "../support/e2e/soon.ts";
import { leaksOnHost } from "../support/e2e/traces.ts";
import { duringTraffic, trial } from "../support/e2e/trial.ts";

const HOST = "nginx.hung.org.hk";
const PAGES = ["v1.16.1", "v1.17.9"];
const VERSIONS: Record<string, string> = { "v1.16.1": "1.16", "v1.17.9": "1.17" };

const lab = new TestLab("observe-test", { monitoring: true });

beforeAll(async () => {
  await Promise.all([ensureBrowser(), lab.run("down", "--fast", "--quiet")]);
  await lab.run("up");
  for (const policy of MESH_POLICIES) await lab.create(policy);
});
afterAll(() => lab.run("down", "--fast", "--quiet"));
const status = async () =>
  JSON.parse((await lab.try("status", "--json")).stdout) as Record<"standIns" | "alerts", string[]>;

describe("metrics", () => {
  test("every target answers: proxies, istiod, HAProxy, Prometheus itself", async () => {
    const targets = async () =>
      Object.fromEntries(
        (await promql(lab, "min by (job) (up)")).map(({ labels, value }) => [labels.job, value]),
      );
    const jobs = ["haproxy", "haproxy-latency", "istio-proxies", "istiod", "prometheus"];
    await expect.poll(targets, SOON).toEqual(Object.fromEntries(jobs.map((job) => [job, 1])));
    const sidecars = async () => promql(lab, 'count(up{job="istio-proxies",pod=~"nginx-v.+"})');
    await expect.poll(sidecars, SOON).toMatchObject([{ value: 6 }]);
  });

  test("Prometheus counts the same requests as the probe, and shares agree with the weights", async () => {
    const counts = (reporter: string) => {
      const series = `istio_requests_total{reporter="${reporter}",destination_workload=~"nginx-.+"}`;
      return byVersion(lab, `sum by (destination_workload) (${series})`);
    };
    const timed = () => promql(lab, "sum(haproxy_server_response_time_seconds_count)");
    await allScraped(lab);
    const before = { source: await counts("source"), destination: await counts("destination") };
    const [timedBefore] = await timed();
    const { served } = await lab.expectSplit({ v116: 50, v117: 50 });
    await allScraped(lab);
    for (const reporter of ["source", "destination"] as const) {
      const more = Object.entries(await counts(reporter)).map(([name, count]) => [
        name,
        count - (before[reporter][name] ?? 0),
      ]);
      expect(Object.fromEntries(more), reporter).toEqual(served);
    }
    const sum = Object.values(served).reduce((all, count) => all + count, timedBefore?.value ?? 0);
    expect(await timed()).toMatchObject([{ value: sum }]);
    const { low, high } = allowed(800, 50);
    const shares = () => byVersion(lab, "istio_lab:version_share:ratio");
    await expect.poll(async () => Object.keys(await shares()).sort(), SOON).toEqual(["v116", "v117"]);
    for (const share of Object.values(await shares())) {
      expect(share).toBeGreaterThanOrEqual((low - 1) / 800);
      expect(share).toBeLessThanOrEqual((high + 1) / 800);
    }
  });

  test("every query of Istio's Grafana dashboards and of Kiali has an answer", async () => {
    const names = Object.keys(MESH_QUERIES).sort();
    const answered = async () =>
      (await promql(lab, allAnswers(MESH_QUERIES))).map(({ labels }) => labels.query).sort();
    await expect.poll(answered, SOON).toEqual(names);
  });

  test("status names what stands in for Istio's telemetry filter", async () => {
    expect((await status()).standIns.join("\n")).toContain("stats access logger");
  });
});

describe("traces", () => {
  const send = async (headers: Record<string, string>) => {
    const { body } = await request(lab.url, { headers: { host: HOST, ...headers } });
    return (await body.text()).trim();
  };

  /** The gateway passes a `b3` header on, and the sidecar prefers it. Its caller is then the client. */
  test.each([
    [
      "x-b3-traceid and x-b3-spanid",
      "the gateway",
      (id: string, span: string) => ({ "x-b3-traceid": id, "x-b3-spanid": span, "x-b3-sampled": "1" }),
    ],
    ["b3", "the client", (id: string, span: string) => ({ b3: `${id}-${span}-1` })],
    ["traceparent", "the gateway", (id: string, span: string) => ({ traceparent: `00-${id}-${span}-01` })],
  ])(
    "a request with %s is one trace of that id; the sidecar's caller is %s",
    async (_, caller, headersOf) => {
      const { page, spanId, spans } = await wholeTrace(lab, (id, span) => send(headersOf(id, span)));
      const span = (kind: string, service: string) =>
        spans.find((one) => one.kind === kind && one.localEndpoint?.serviceName?.startsWith(service));
      const [server, client] = ["SERVER", "CLIENT"].map((kind) => span(kind, "istio-ingressgateway"));
      expect([server?.parentId, client?.parentId]).toEqual([spanId, server?.id]);
      const sidecar = span("SERVER", "nginx");
      expect(sidecar?.parentId).toBe(caller === "the gateway" ? client?.id : spanId);
      expect(sidecar?.tags).toMatchObject({ "istio.canonical_revision": VERSIONS[page] });
      expect(client?.tags?.route).toMatch(/^weights-/);
    },
  );

  test("a request without an id starts its trace at the gateway; one that is not sampled has none", async () => {
    const unsampled = newTraceId();
    await send({ traceparent: `00-${unsampled}-${newSpanId()}-00` });
    await send({});
    const roots = async () => {
      const whole = (await newestTraces(lab, 20)).filter((spans) => spans.length === 3);
      const all = whole.flatMap((spans) => spans.filter(({ parentId }) => parentId === undefined));
      return [...new Set(all.map(({ localEndpoint }) => localEndpoint?.serviceName?.split(".")[0]))];
    };
    await expect.poll(roots, SOON).toEqual(["istio-ingressgateway"]);
    expect(await spansOf(lab, unsampled)).toEqual([]);
  });
});

describe("the live page", () => {
  let page: DashboardPage;
  beforeAll(async () => {
    page = await DashboardPage.open(lab);
  });
  afterAll(async () => {
    expect(await page.close()).toBe(0);
  });

  test("shows the split, a shift, a dead node and a stopped version", async () => {
    const loop = new RequestLoop(lab.url, { host: HOST, pages: PAGES, kept: 2, pause: 20 }).start();
    try {
      await page.expectSplit({ v116: 50, v117: 50 });
      await expect.poll(() => page.state(), SOON).toBe("live");
      await lab.run("shift", "v116=90", "v117=10");
      await page.expectSplit({ v116: 90, v117: 10 });
      await page.showsPercentiles();
      await renewPicture("dashboard.png", await page.browser.screenshot());
      expect(loop.failures).toEqual({});
      await Promise.all([page.showsDeadNode(), page.showsStoppedVersion("v117")]);
      const links = ["The latest traces", "Traces of v116", "Traces of v117", "Traces with errors"];
      await expect.poll(() => page.linksWithTraces(), SOON).toEqual(links);
    } finally {
      await loop.stop();
    }
  });

  test("answers no other host and no other origin", async () => {
    for (const headers of [{ host: "rebound.example" }, { origin: "http://elsewhere.example" }]) {
      const { statusCode, body } = await request(`${page.url}picture.json`, { headers });
      expect(statusCode, JSON.stringify(headers)).toBe(403);
      await body.dump();
    }
  });

  test("node dashboard/main.ts serves it beside any stack; --open serves other programs' own pages", async () => {
    const beside = execa(process.execPath, ["dashboard/main.ts", "--port=0"], {
      cwd: PROGRAM,
      env: labEnvironment(lab.instance),
      reject: false,
    });
    const address = new Promise<string>((resolve, reject) => {
      beside.stdout.on("data", (line: Buffer) => resolve(`${line}`.trim()));
      beside.then(({ stderr }) => reject(new Error(stderr)), reject);
    });
    const opened = async (program: string, path: string) => {
      const { process, said } = lab.start("dashboard", "--open", program, "--port", "0");
      const url = (await said("Ctrl-C ends it.")).trim();
      const [own, answer] = await Promise.all([fetch(url), fetch(new URL(path, url))]);
      expect([program, own.status, await own.text()]).toEqual([
        program,
        200,
        expect.stringMatching(new RegExp(program, "i")),
      ]);
      const text = await answer.text();
      process.kill("SIGINT");
      expect((await process).exitCode).toBe(0);
      return text;
    };
    const [own, prometheus, zipkin] = await Promise.all([
      address.then(async (url) => (await fetch(url)).text()),
      opened("prometheus", "/api/v1/query?query=up"),
      opened("zipkin", "/api/v2/services"),
    ]).finally(() => beside.kill("SIGINT"));
    expect((await beside).exitCode).toBe(0);
    expect(own).toContain("Traffic split of");
    expect(prometheus).toContain('"status":"success"');
    expect(zipkin).toContain("istio-ingressgateway");
  });

  trial("says so when Prometheus is down and when its disk is full; requests go on", async (seen) => {
    const failures = await duringTraffic(lab, seen, { pages: PAGES }, async () => {
      const volumes = [{ name: "data", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } }];
      await patchPrometheus(lab, { replicas: 0, template: { spec: { volumes } } });
      await expect.poll(() => page.words(), SOON).toContain("does not answer");
      expect((await status()).alerts).toMatchObject([expect.stringContaining("Prometheus does not answer")]);
      await patchPrometheus(lab, { replicas: 1 });
      await expect.poll(() => page.state(), SOON).toBe("live");
      const ballast = join((await prometheusPod(lab)).data, "ballast");
      await expect(writeFile(ballast, Buffer.alloc(2 ** 25))).rejects.toThrow("ENOSPC");
      await expect.poll(() => page.state(), SOON).toBe("away");
      // Prometheus answers from old samples, or ends with a bus error and cannot start again.
      expect(await page.words()).toMatch(/its volume is full|does not answer/);
    });
    expect(failures).toEqual([]);
  });
});

describe("monitoring and tracing switched with traffic on", () => {
  const TRACING = ["serviceentry/istio-lab-tracing", "telemetry/istio-lab-tracing"];
  let others: OthersMonitoring;
  beforeAll(async () => {
    others = await OthersMonitoring.create(lab);
  });

  trial("both off: no request fails, nothing of them is left", async (seen) => {
    // A Prometheus that is there takes the place of the program's own.
    await lab.set({ "monitoring.enabled": "false", "monitoring.url": await others.url() });
    await lab.unset("tracing");
    expect(await duringTraffic(lab, seen, { pages: PAGES }, () => lab.up())).toEqual([]);
    expect(await ownedBy(lab)).toEqual([]);
    await withServerStates(lab, (states) => expect.poll(states, SOON).toEqual(["up", "up", "up"]));
  });

  trial("on, with a collector that dies: no request fails, spans and requests are counted", async (seen) => {
    const { loadBalancer } = lab.instance;
    const endpoint = `${loadBalancer.address}:4317`;
    const storage = await createVolume(lab);
    await lab.unset("monitoring.url");
    await lab.set({ "monitoring.enabled": "true", "tracing.provider": "otlp", "tracing.sampling": "100" });
    await lab.set({ "tracing.endpoint": endpoint, ...storage });
    const failures = await duringTraffic(lab, seen, { pages: PAGES }, async () => {
      // Nothing answers at the endpoint yet: that is a warning, and requests go on.
      expect(await lab.up()).toContain(`tracing.endpoint is ${endpoint}, and a connection`);
      const collector = await OtlpCollector.start(loadBalancer, 4317);
      const traceId = newTraceId();
      const headers = { host: HOST, traceparent: `00-${traceId}-${traceId.slice(16)}-01` };
      // The proxies drop spans until they have found the collector.
      const received = async () => {
        await (await request(lab.url, { headers })).body.dump();
        return Math.min(collector.received(traceId), 2);
      };
      await expect
        .poll(received, SOON)
        .toBe(2)
        .finally(() => collector.stop());
      expect(collector.received(traceId, "istio-ingressgateway", "weights-")).toBeGreaterThan(0);
      const counted = () => promql(lab, 'sum(istio_requests_total{reporter="source"}) > 100');
      await expect.poll(async () => (await counted()).length, SOON).toBe(1);
      // The samples are in a volume: another pod has them too.
      const scraped = () => promql(lab, 'timestamp(up{job="prometheus"})');
      await expect.poll(async () => (await scraped()).length, SOON).toBe(1);
      const [moment] = await scraped();
      await deletePrometheusPod(lab);
      const then = () => promql(lab, `up{job="prometheus"} @ ${moment?.value}`).catch(() => []);
      await expect.poll(async () => (await then()).map(({ value }) => value), SOON).toEqual([1]);
    });
    expect(failures).toEqual([]);
    expect((await ownedBy(lab)).filter((name) => name.endsWith("tracing"))).toEqual(TRACING);
  });

  trial("destroy removes them, and leaves the monitoring of others", async (seen) => {
    const before = await others.uids();
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    expect(await ownedBy(lab)).toEqual([]);
    expect(await others.uids()).toEqual(before);
    await lab.run("down");
    expect(await leaksOnHost(lab.instance, seen)).toEqual([]);
  });
});
