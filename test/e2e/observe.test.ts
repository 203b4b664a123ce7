// Metrics, traces and the live page, on a lab with Prometheus and Zipkin.

import { randomBytes } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../clients/process.ts";
import type { WorkerSpec } from "../../embedded/instance.ts";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { ensureBrowser } from "../../embedded/toolchain/browser.ts";
import { OBSERVABILITY_NAMESPACE } from "../../mesh/observability.ts";
import { RequestLoop } from "../../probe/loop.ts";
import { allowed } from "../../probe/verdict.ts";
import { DashboardPage } from "../support/e2e/dashboard.ts";
import { type KubernetesObject, TestLab } from "../support/e2e/harness.ts";
import { byVersion, newestTraces, promql, spansOf } from "../support/e2e/metrics.ts";
import { leaksOnHost } from "../support/e2e/traces.ts";
import { duringTraffic, trial } from "../support/e2e/trial.ts";

const HOST = "nginx.hung.org.hk";
const PAGES = ["v1.16.1", "v1.17.9"];
/** Page to the pods' label `version`. */
const VERSIONS: Record<string, string> = { "v1.16.1": "1.16", "v1.17.9": "1.17" };
const SOON = { timeout: 60_000, interval: 1000 };

const lab = new TestLab("observe-test", { monitoring: true });

beforeAll(async () => {
  await ensureBrowser();
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up");
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("metrics", () => {
  test("every target answers: proxies, istiod, HAProxy, Prometheus itself", async () => {
    const targets = async () =>
      Object.fromEntries(
        (await promql(lab, "min by (job) (up)")).map(({ labels, value }) => [labels.job, value]),
      );
    await expect.poll(targets, SOON).toEqual({ haproxy: 1, "istio-proxies": 1, istiod: 1, prometheus: 1 });
    const sidecars = async () => promql(lab, 'count(up{job="istio-proxies",pod=~"nginx-v.+"})');
    await expect.poll(sidecars, SOON).toMatchObject([{ value: 6 }]);
  });

  test("Prometheus counts the same requests as the probe, and shares agree with the weights", async () => {
    const counts = (reporter: string) => {
      const series = `istio_requests_total{reporter="${reporter}",destination_workload=~"nginx-.+"}`;
      return byVersion(lab, `sum by (destination_workload) (${series})`);
    };
    // Requests of the probe before are still being scraped.
    const moved = "changes(istio_requests_total[10s]) > 0 or count_over_time(istio_requests_total[10s]) < 3";
    await expect.poll(() => promql(lab, moved), SOON).toEqual([]);
    const before = { source: await counts("source"), destination: await counts("destination") };
    const { served } = await lab.expectSplit({ v116: 50, v117: 50 });
    for (const reporter of ["source", "destination"] as const) {
      const difference = async () => {
        const after = await counts(reporter);
        return Object.fromEntries(
          Object.entries(after).map(([name, count]) => [name, count - (before[reporter][name] ?? 0)]),
        );
      };
      await expect.poll(difference, SOON).toEqual(served);
    }
    const { low, high } = allowed(800, 50);
    const shares = await byVersion(lab, "istio_lab:version_share:ratio");
    expect(Object.keys(shares).sort()).toEqual(["v116", "v117"]);
    for (const share of Object.values(shares)) {
      expect(share).toBeGreaterThanOrEqual((low - 1) / 800);
      expect(share).toBeLessThanOrEqual((high + 1) / 800);
    }
  });

  test("status names what stands in for Istio's telemetry filter", async () => {
    const { standIns } = JSON.parse((await lab.try("status", "--json")).stdout) as { standIns: string[] };
    expect(standIns.join("\n")).toContain("stats access logger");
  });
});

describe("traces", () => {
  test("a request with an id of its own is one trace: gateway, sidecar, version, route", async () => {
    const traceId = randomBytes(16).toString("hex");
    const headers = { "x-b3-traceid": traceId, "x-b3-spanid": traceId.slice(16), "x-b3-sampled": "1" };
    const { body } = await request(lab.url, { headers: { host: HOST, ...headers } });
    const page = (await body.text()).trim();
    const kinds = async () => (await spansOf(lab, traceId)).map(({ kind }) => kind).sort();
    await expect.poll(kinds, SOON).toEqual(["CLIENT", "SERVER", "SERVER"]);
    const spans = await spansOf(lab, traceId);
    const names = spans.map(({ localEndpoint }) => localEndpoint?.serviceName ?? "");
    expect(names.filter((name) => name.startsWith("istio-ingressgateway"))).toHaveLength(2);
    const client = spans.find(({ kind }) => kind === "CLIENT");
    const sidecar = spans.find(({ parentId, kind }) => kind === "SERVER" && parentId === client?.id);
    expect(sidecar?.tags).toMatchObject({ "istio.canonical_revision": VERSIONS[page] });
    expect(client?.tags?.route).toMatch(/^weights-/);
  });

  test("a request without an id starts its trace at the gateway", async () => {
    const roots = async () => {
      const whole = (await newestTraces(lab, 20)).filter((spans) => spans.length === 3);
      const all = whole.flatMap((spans) => spans.filter(({ parentId }) => parentId === undefined));
      return [...new Set(all.map(({ localEndpoint }) => localEndpoint?.serviceName?.split(".")[0]))];
    };
    await expect.poll(roots, SOON).toEqual(["istio-ingressgateway"]);
  });
});

describe("the live page", () => {
  test("shows the split, a shift, a dead node and a stopped version", async () => {
    const page = await DashboardPage.open(lab);
    const loop = new RequestLoop(lab.url, { host: HOST, pages: PAGES, kept: 2, pause: 20 }).start();
    try {
      // A window full of requests, whatever the probe before left in it.
      await loop.reached(1500);
      await page.expectSplit({ v116: 50, v117: 50 });
      await expect.poll(() => page.state(), SOON).toBe("live");

      await lab.run("shift", "v116=90", "v117=10");
      await page.expectSplit({ v116: 90, v117: 10 });
      await writeFile(join(await pictureDirectory(), "dashboard.png"), await page.browser.screenshot());
      expect(loop.failures).toEqual({});

      const node = await nodeWithoutPrometheus();
      const server = async () => (await page.rows("servers"))[node.name]?.state;
      await expect.poll(server, SOON).toBe("up");
      await answersToLoadBalancer(node, "add");
      await expect.poll(server, SOON).toBe("down");
      await answersToLoadBalancer(node, "del");
      await expect.poll(server, SOON).toBe("up");

      const pods = async () => (await page.rows("versions")).v117?.cells.at(-1);
      await lab.kubectl("scale", "deployment", "nginx-v117", "--replicas=0");
      await expect.poll(pods, SOON).toBe("0 of 0");
      const gateway = async () =>
        ((await (await fetch(`${page.url}picture.json`)).json()) as Measured).picture?.gateway.errors ?? 0;
      await expect.poll(gateway, SOON).toBeGreaterThan(0);
      await lab.kubectl("scale", "deployment", "nginx-v117", "--replicas=3");
      await expect.poll(pods, SOON).toBe("3 of 3");
    } finally {
      await loop.stop();
      expect(await page.close()).toBe(0);
    }
  });

  /** With a route to nowhere, what the node and its pods send to the load balancer gets lost, and nothing else. */
  const answersToLoadBalancer = ({ netns }: WorkerSpec, change: "add" | "del") =>
    run("ip", ["-n", netns, "route", change, "blackhole", `${lab.instance.loadBalancer.address}/32`]);

  /** Prometheus itself goes on scraping the load balancer. */
  async function nodeWithoutPrometheus(): Promise<WorkerSpec> {
    type Pod = KubernetesObject & { readonly spec: { readonly nodeName?: string } };
    const where = [`--namespace=${OBSERVABILITY_NAMESPACE}`, "--selector=app=istio-lab-prometheus"];
    const [pod] = await lab.list<Pod>("pods", ...where);
    const node = lab.instance.workers.find(({ name }) => name !== pod?.spec.nodeName);
    if (!node) throw new Error("every worker has a pod of Prometheus");
    return node;
  }

  test("answers no other host and no other origin", async () => {
    const { process, said } = lab.start("dashboard", "--port", "0");
    const url = (await said("Ctrl-C ends it.")).trim();
    for (const headers of [{ host: "rebound.example" }, { origin: "http://elsewhere.example" }]) {
      const { statusCode, body } = await request(`${url}picture.json`, { headers });
      expect(statusCode, JSON.stringify(headers)).toBe(403);
      await body.dump();
    }
    process.kill("SIGINT");
    await process;
  });

  trial("says so when Prometheus is down; requests go on", async (seen) => {
    const page = await DashboardPage.open(lab);
    try {
      await expect.poll(() => page.state(), SOON).toBe("live");
      const failures = await duringTraffic(lab, seen, { pages: PAGES }, async () => {
        await scalePrometheus(0);
        await expect.poll(() => page.state(), SOON).toBe("away");
        await scalePrometheus(1);
        await expect.poll(() => page.state(), SOON).toBe("live");
      });
      expect(failures).toEqual([]);
    } finally {
      await page.close();
    }
  });

  const scalePrometheus = (replicas: number) =>
    lab.kubectl(
      ...["scale", "deployment", "prometheus", `--replicas=${replicas}`],
      `--namespace=${OBSERVABILITY_NAMESPACE}`,
    );
});

describe("monitoring and tracing switched with traffic on", () => {
  trial("a collector that does not answer, and no metrics: no request fails", async (seen) => {
    await lab.set({ "monitoring.enabled": "false", "tracing.endpoint": "192.0.2.1:9411" });
    expect(await duringTraffic(lab, seen, { pages: PAGES }, () => lab.up())).toEqual([]);
    expect(await left()).toEqual(["serviceentry/istio-lab-tracing", "telemetry/istio-lab-tracing"]);
  });

  trial("both off: no request fails, nothing of them is left", async (seen) => {
    await lab.unset("tracing");
    expect(await duringTraffic(lab, seen, { pages: PAGES }, () => lab.up())).toEqual([]);
    expect(await left()).toEqual([]);
  });

  trial("both on again: no request fails, and requests are counted", async (seen) => {
    await lab.set({ "monitoring.enabled": "true", "tracing.provider": "zipkin", "tracing.sampling": "100" });
    await lab.set({ "tracing.image": zipkinImage });
    expect(await duringTraffic(lab, seen, { pages: PAGES }, () => lab.up())).toEqual([]);
    const counted = () => promql(lab, 'sum(istio_requests_total{reporter="source"}) > 100');
    await expect.poll(async () => (await counted()).length, SOON).toBe(1);
  });

  /** What the lab's settings had before the switch. */
  let zipkinImage = "";
  beforeAll(async () => {
    zipkinImage = (await lab.run("pulumi", "config", "get", "--path", "tracing.image")).trim();
  });
});

describe("destroy", () => {
  trial("removes Prometheus and Zipkin, and leaves the monitoring of others", async (seen) => {
    const other = { name: "prometheus", namespace: "default" };
    await lab.create({ apiVersion: "v1", kind: "ConfigMap", metadata: other });
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    expect(await left()).toEqual([]);
    expect((await lab.get("configmap", "prometheus")).metadata.name).toBe("prometheus");
    await lab.run("down");
    expect(await leaksOnHost(lab.instance, seen)).toEqual([]);
  });
});

/** What the two capabilities own in the cluster, by kind and name. */
async function left(): Promise<string[]> {
  const kinds = ["namespaces", "roles", "rolebindings", "envoyfilters", "telemetries", "serviceentries"];
  const known = (await lab.kubectl("api-resources", "--verbs=list", "--output=name"))
    .split("\n")
    .filter((name) => kinds.includes(name.split(".")[0] ?? ""));
  const objects = await lab.list<{ kind: string; metadata: { name: string } }>(
    known.join(","),
    "--all-namespaces",
  );
  const names = objects.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`);
  return [...new Set(names)].filter((name) => name.includes("/istio-lab-")).sort();
}

interface Measured {
  readonly picture?: { readonly gateway: { readonly errors: number | null } };
}

/** The README's picture is renewed by `./lab test --write`. */
async function pictureDirectory(): Promise<string> {
  if (process.env.ISTIO_LAB_WRITE) return join(PROGRAM, "docs");
  return mkdtemp(join(tmpdir(), "istio-lab-picture-"));
}
