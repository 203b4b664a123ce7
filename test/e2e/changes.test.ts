// Drift and changes of a stack that is up, with traffic on; an Istio that is somebody else's.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run, until } from "../../clients/process.ts";
import { initPid } from "../../embedded/machines/machine.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../../embedded/versions.ts";
import { type KubernetesObject, TestLab } from "../support/e2e/harness.ts";
import { inventory, leaksSince } from "../support/e2e/inventory.ts";
import { duringTraffic, trial } from "../support/e2e/trial.ts";

const lab = new TestLab("change-test");

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up");
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("drift", () => {
  trial("of weights, a Deployment and a label is seen by refresh and put right by the next up", async () => {
    await lab.kubectl("label", "namespace", "default", "istio-injection-");
    await lab.kubectl("delete", "deployment", "nginx-v116");
    await lab.kubectl("patch", "virtualservice", "nginx", "--type=json", `--patch=${WEIGHTS_BY_HAND}`);
    await lab.run("pulumi", "refresh", "--yes", "--skip-preview");
    const seen = await stateOfStack();
    expect(seen("NamespacePatch::mesh")?.metadata.labels ?? {}).not.toHaveProperty("istio-injection");
    expect(seen("Deployment::nginx-v116")).toBeUndefined();
    expect(seen("Deployment::nginx-v117")).toBeDefined();
    expect(JSON.stringify(seen("VirtualService::split")?.spec)).toMatch(/"weight":10\b.*"weight":90\b/);
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
    await lab.kubectl("delete", "service", "istio-ingressgateway", "--namespace=istio-system");
    await lab.create(madeAnew(service));
    await lab.up();
    expect(await changes()).toEqual({ read: 1, update: 1 });
    const { nodePorts } = (await lab.outputs()) as { nodePorts: { http2: number } };
    expect(nodePorts.http2).not.toBe(nodePortOf(service));
    await lab.expectSplit({ v116: 50, v117: 50 });
  });
});

describe("versions changed with traffic on", () => {
  trial(
    "a new page, image and number of pods: the pods of that version roll, no request fails",
    async (seen) => {
      const before = await pods();
      await lab.set({
        "versions[1].page": "v1.17.9 again",
        "versions[1].image": await imageOf("nginx-v116"),
        "versions[1].replicas": "2",
      });
      expect(
        await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9", "v1.17.9 again"] }, () => lab.up()),
      ).toEqual([]);
      const after = await pods();
      expect(after["1.16"]).toEqual(before["1.16"]);
      expect(after["1.17"]).toHaveLength(2);
      expect(after["1.17"]).not.toEqual(expect.arrayContaining(before["1.17"]));
      await lab.expectSplit({ v116: 50, v117: 50 });
    },
  );

  trial("one is added, no request fails", async (seen) => {
    await lab.set({
      ...(await third("v118", "1.18")),
      "weights.v116": "40",
      "weights.v117": "40",
      "weights.v118": "20",
    });
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again", "v118"] }, () => lab.up()),
    ).toEqual([]);
    await lab.expectSplit({ v116: 40, v117: 40, v118: 20 });
  });

  trial("one takes another's place, no request fails; its subset goes with the next up", async (seen) => {
    await lab.unset("weights.v118");
    await lab.set({ ...(await third("v119", "1.19")), "weights.v119": "20" });
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again", "v118", "v119"] }, async () => {
        expect(await lab.up()).toContain("DestinationRule nginx keeps v118 for now");
      }),
    ).toEqual([]);
    expect(await subsets()).toEqual(["v116", "v117", "v118", "v119"]);
    await lab.expectSplit({ v116: 40, v117: 40, v119: 20 });
  });

  trial("one is removed, no request fails", async (seen) => {
    await lab.unset("versions[2]", "weights.v119");
    await lab.set({ "weights.v116": "50", "weights.v117": "50" });
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again", "v119"] }, () => lab.up()),
    ).toEqual([]);
    await lab.expectSplit({ v116: 50, v117: 50 });
    expect(await subsets()).toEqual(["v116", "v117"]);
    await lab.up("--expect-no-changes");
  });
});

describe("nodes changed with traffic on", () => {
  trial("fewer and more of them change the load balancer alone, no request fails", async (seen) => {
    const nodes = lab.instance.workers.map(({ name, address }, index) => ({
      [`nodes[${index}].name`]: name,
      [`nodes[${index}].address`]: address,
    }));
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again"] }, async () => {
        for (const given of [nodes.slice(0, 2), nodes]) {
          await lab.set(Object.assign({}, ...given));
          await lab.up();
          expect(await changes()).toEqual({ update: 1 });
          expect(await serversOfHaproxy()).toHaveLength(given.length);
        }
      }),
    ).toEqual([]);
  });
});

describe("Istio changed with traffic on", () => {
  trial("values, in place: no pod of the app rolls, no request fails", async (seen) => {
    const before = await pods();
    await lab.set({ "istio.values.pilot.env.LAB_NOTE": "changed" });
    expect(await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again"] }, () => lab.up())).toEqual(
      [],
    );
    expect(await changes()).toEqual({ update: 1 });
    expect(JSON.stringify(await lab.get("deployment", "istiod", "--namespace=istio-system"))).toContain(
      "LAB_NOTE",
    );
    expect(await pods()).toEqual(before);
  });

  trial(
    "version, tag and profile, in place: every pod gets the new sidecar, no request fails",
    async (seen) => {
      const crd = ["customresourcedefinition", "virtualservices.networking.istio.io"] as const;
      const before = await lab.get(...crd);
      await tagIstioImages(NEXT_PATCH);
      await lab.set({ "istio.version": NEXT_PATCH, "istio.tag": NEXT_PATCH, "istio.profile": "default" });
      expect(await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again"] }, () => lab.up())).toEqual(
        [],
      );
      expect(new Set(await proxyImages())).toEqual(new Set([`docker.io/${IMAGE_HUB}/proxyv2:${NEXT_PATCH}`]));
      const planes = await lab.list("deployments", "--namespace=istio-system");
      expect(planes.map(({ metadata }) => metadata.name)).toEqual(["istio-ingressgateway", "istiod"]);
      // Never a purge in between: that would have taken the CRDs along.
      expect((await lab.get(...crd)).metadata.uid).toBe(before.metadata.uid);
      await lab.expectSplit({ v116: 50, v117: 50 });
      await lab.up("--expect-no-changes");
    },
  );
});

describe("somebody else's Istio", () => {
  trial(
    "that this stack had installed and lets go of: no request fails, a destroy leaves it",
    async (seen) => {
      const { owner: _, ...planes } = await istioAsItIs();
      await lab.set({ "istio.manage": "false" });
      const { exitCode, stdout } = await lab.try("pulumi", "up", "--yes", "--skip-preview");
      expect(exitCode).not.toBe(0);
      expect(stdout).toContain(
        "let go of it first (kubectl annotate namespace istio-system istio-lab/owner-)",
      );
      await lab.kubectl("annotate", "namespace", "istio-system", "istio-lab/owner-");
      expect(
        await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9", "v1.17.9 again"] }, () => lab.up()),
      ).toEqual([]);
      await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
      expect(await istioAsItIs()).toEqual({ ...planes, owner: undefined });
    },
  );

  test("is installed by hand", async () => {
    const settings = [
      "profile=demo",
      `hub=docker.io/${IMAGE_HUB}`,
      `tag=${ISTIO_VERSION}`,
      "values.telemetry.enabled=false",
    ];
    await lab.run("istioctl", "install", "--skip-confirmation", ...settings.map((set) => `--set=${set}`));
    // istiod and two gateways: the pods of before are gone.
    await until("three pods of Istio", async () => {
      return (await lab.list("pods", "--namespace=istio-system")).length === 3;
    });
  });

  trial("is refused while istio.manage is true", async () => {
    await lab.set({ "istio.manage": "true" });
    const { exitCode, stdout } = await lab.try("pulumi", "up", "--yes", "--skip-preview");
    expect(exitCode).not.toBe(0);
    expect(stdout).toContain("there is an Istio in this cluster that this stack did not install");
  });

  trial("is used and left as it was when istio.manage is false", async (seen) => {
    const before = await inventory(lab);
    const istio = await istioAsItIs();
    await lab.set({ "istio.manage": "false" });
    await lab.up();
    await lab.expectSplit({ v116: 50, v117: 50 });
    await lab.up("--expect-no-changes");
    await lab.run("pulumi", "refresh", "--yes", "--skip-preview", "--expect-no-changes");
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
    expect(await istioAsItIs()).toEqual(istio);
  });
});

const WEIGHTS_BY_HAND = JSON.stringify([
  { op: "replace", path: "/spec/http/0/route/0/weight", value: 10 },
  { op: "replace", path: "/spec/http/0/route/1/weight", value: 90 },
]);

/** As if it were another build; the lab has one. */
const NEXT_PATCH = "1.31.1";

async function tagIstioImages(tag: string): Promise<void> {
  for (const worker of lab.instance.workers) {
    const enter = ["--target", `${await initPid(worker)}`, "--mount", "ctr", "--namespace=k8s.io"];
    for (const image of ["pilot", "proxyv2"].map((name) => `docker.io/${IMAGE_HUB}/${name}`)) {
      await run("nsenter", [
        ...enter,
        "images",
        "tag",
        "--force",
        `${image}:${ISTIO_VERSION}`,
        `${image}:${tag}`,
      ]);
    }
  }
}

/** How many resources the newest update touched, by what it did to them. */
async function changes(): Promise<Record<string, number>> {
  const { same: _, ...changed } = await lab.lastChanges();
  return changed;
}

/** What the stack knows of its resources: asked for by the end of the URN. */
async function stateOfStack(): Promise<(urn: string) => KubernetesObject | undefined> {
  const { deployment } = JSON.parse(await lab.run("pulumi", "stack", "export")) as {
    deployment: { resources: { urn: string; outputs?: KubernetesObject }[] };
  };
  return (end) => deployment.resources.find(({ urn }) => urn.endsWith(end))?.outputs;
}

/** Settings of a version beside the article's two. */
const third = async (name: string, version: string) => ({
  "versions[2].name": name,
  "versions[2].version": version,
  "versions[2].image": await imageOf("nginx-v117"),
  "versions[2].page": name,
  "versions[2].replicas": "1",
});

async function subsets(): Promise<string[]> {
  const { spec } = await lab.get<KubernetesObject & { spec: { subsets: { name: string }[] } }>(
    "destinationrule",
    "nginx",
  );
  return spec.subsets.map(({ name }) => name).sort();
}

async function serversOfHaproxy(): Promise<string[]> {
  const config = await lab.run("ssh", "cat /etc/haproxy/haproxy.cfg");
  // Each of them stands in the backend of the last resort too.
  return [...new Set(config.match(/^ {4}server .*$/gm))];
}

/** Images of the sidecars and of the gateway, in pods that are to stay. */
async function proxyImages(): Promise<string[]> {
  interface Pod extends KubernetesObject {
    readonly metadata: KubernetesObject["metadata"] & { deletionTimestamp?: string };
    readonly spec: { initContainers?: Container[]; containers: Container[] };
  }
  interface Container {
    readonly name: string;
    readonly image: string;
  }
  const all = await lab.list<Pod>("pods", "--all-namespaces");
  return all
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .flatMap(({ spec }) => [...(spec.initContainers ?? []), ...spec.containers])
    .filter(({ name }) => name === "istio-proxy")
    .map(({ image }) => image);
}

/** What would tell that somebody had touched Istio: its Deployments, unchanged since they were made, and its claim. */
async function istioAsItIs() {
  const deployments = await lab.list("deployments", "--namespace=istio-system");
  const { metadata } = await lab.get("namespace", "istio-system");
  return {
    deployments: deployments.map(({ metadata: { name, uid, generation } }) => ({ name, uid, generation })),
    namespace: metadata.uid,
    owner: metadata.annotations?.["istio-lab/owner"],
  };
}

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
