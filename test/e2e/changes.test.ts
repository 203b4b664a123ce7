// Drift and changes of a stack that is up, with traffic on.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KubernetesObject, TestLab } from "./harness.ts";
import { duringTraffic, trial } from "./trial.ts";

const lab = new TestLab("change-test");

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up");
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("drift", () => {
  trial("is seen by refresh and put right by the next up", async () => {
    await lab.run("kubectl", "label", "namespace", "default", "istio-injection-");
    await lab.run("kubectl", "delete", "deployment", "nginx-v116");
    await lab.run("kubectl", "patch", "virtualservice", "nginx", "--type=json", `--patch=${WEIGHTS_BY_HAND}`);
    await lab.run("pulumi", "refresh", "--yes", "--skip-preview");
    const { update, delete: deleted } = await lab.lastChanges();
    expect(update).toBeGreaterThanOrEqual(1);
    expect(deleted).toBeGreaterThanOrEqual(1);
    await lab.up();
    await lab.expectSplit({ v116: 50, v117: 50 });
    expect((await lab.get("namespace", "default")).metadata.labels).toHaveProperty("istio-injection");
    await lab.up("--expect-no-changes");
  });

  trial("of the gateway's NodePort reaches the load balancer and changes nothing else", async () => {
    const service = await lab.get<GatewayService>(
      "service",
      "istio-ingressgateway",
      "--namespace=istio-system",
    );
    await lab.run("kubectl", "delete", "service", "istio-ingressgateway", "--namespace=istio-system");
    await lab.create(madeAnew(service));
    await lab.up();
    const { same: _, ...changed } = await lab.lastChanges();
    expect(changed).toEqual({ read: 1, update: 1 });
    const { nodePorts } = (await lab.outputs()) as { nodePorts: { http2: number } };
    expect(nodePorts.http2).not.toBe(nodePortOf(service));
    await lab.expectSplit({ v116: 50, v117: 50 });
  });
});

describe("with traffic on", () => {
  trial("a new page rolls the pods of its version alone, and no request fails", async (seen) => {
    const before = await pods();
    await lab.set({ "versions[1].page": "v1.17.9 again" });
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9", "v1.17.9 again"] }, () => lab.up()),
    ).toEqual([]);
    const after = await pods();
    expect(after["1.16"]).toEqual(before["1.16"]);
    expect(after["1.17"]).not.toEqual(expect.arrayContaining(before["1.17"]));
    await lab.expectSplit({ v116: 50, v117: 50 });
  });

  trial("a version is added, and no request fails", async (seen) => {
    await lab.set({
      "versions[2].name": "v118",
      "versions[2].version": "1.18",
      "versions[2].image": await imageOf("nginx-v117"),
      "versions[2].page": "v118",
      "versions[2].replicas": "1",
      "weights.v116": "40",
      "weights.v117": "40",
      "weights.v118": "20",
    });
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again", "v118"] }, () => lab.up()),
    ).toEqual([]);
    await lab.expectSplit({ v116: 40, v117: 40, v118: 20 });
  });

  // The DestinationRule loses the subset before the VirtualService stops naming it: some 503 in between.
  test.todo("a version is removed, and no request fails");

  trial("a version is removed", async () => {
    await lab.unset("versions[2]", "weights.v118");
    await lab.set({ "weights.v116": "50", "weights.v117": "50" });
    await lab.up();
    await lab.expectSplit({ v116: 50, v117: 50 });
    await lab.up("--expect-no-changes");
  });

  trial("Istio's values are changed in place, and no request fails", async (seen) => {
    await lab.set({ "istio.values.pilot.env.LAB_NOTE": "changed" });
    expect(await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again"] }, () => lab.up())).toEqual(
      [],
    );
    const { same: _, ...changed } = await lab.lastChanges();
    expect(changed).toEqual({ update: 1 });
    expect(JSON.stringify(await lab.get("deployment", "istiod", "--namespace=istio-system"))).toContain(
      "LAB_NOTE",
    );
  });
});

const WEIGHTS_BY_HAND = JSON.stringify([
  { op: "replace", path: "/spec/http/0/route/0/weight", value: 10 },
  { op: "replace", path: "/spec/http/0/route/1/weight", value: 90 },
]);

/** Names of the app's running pods, by version. */
async function pods(): Promise<Record<"1.16" | "1.17", string[]>> {
  const list = await lab.list<KubernetesObject & { metadata: { deletionTimestamp?: string } }>(
    "pods",
    "--selector=app=nginx",
  );
  const running = list.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const named = (version: string) =>
    running
      .filter(({ metadata }) => metadata.labels?.version === version)
      .map(({ metadata }) => metadata.name);
  return { "1.16": named("1.16").sort(), "1.17": named("1.17").sort() };
}

async function imageOf(deployment: string): Promise<string> {
  interface Deployment extends KubernetesObject {
    readonly spec: { template: { spec: { containers: { image: string }[] } } };
  }
  return (await lab.get<Deployment>("deployment", deployment)).spec.template.spec.containers[0]?.image ?? "";
}

interface GatewayService extends KubernetesObject {
  readonly spec: { ports: { name: string; nodePort?: number }[] } & Record<string, unknown>;
}

const nodePortOf = (service: GatewayService) =>
  service.spec.ports.find(({ name }) => name === "http2")?.nodePort;

/** The Service as an installer would make it: the cluster gives addresses and NodePorts. */
function madeAnew({ metadata, spec }: GatewayService) {
  const { clusterIP: _, clusterIPs: __, ports, ...rest } = spec;
  const { name, namespace, labels } = metadata;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, labels },
    spec: { ...rest, ports: ports.map(({ nodePort: ___, ...port }) => port) },
  };
}
