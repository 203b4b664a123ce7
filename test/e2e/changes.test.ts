// Drift and changes of a stack that is up, with traffic on; an Istio of another owner.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run, until } from "../../clients/process.ts";
import { initPid } from "../../embedded/machines/machine.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../../embedded/toolchain/versions/versions.ts";
import { TestLab } from "../support/e2e/harness.ts";
import { inventory, leaksSince } from "../support/e2e/inventory.ts";
import {
  changesOf,
  type GatewayService,
  imageOf,
  istioOf,
  nodePortOf,
  podsOf,
  proxyImages,
  recreated,
  serversOfHaproxy,
  stateOfStack,
  subsetsOf,
} from "../support/e2e/observe.ts";
import { duringTraffic, trial } from "../support/e2e/trial.ts";

const lab = new TestLab("change-test", { workers: 2 });

beforeAll(async () => {
  // The other version has the article's three.
  await lab.make({ "versions[0].replicas": "1" });
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("drift", () => {
  trial(
    "of weights, a Deployment, a number of pods and a label is found by refresh and repaired by the next " +
      "up, whichever manager has the fields",
    async () => {
      await lab.kubectl("label", "namespace", "default", "istio-injection=disabled", "--overwrite");
      await lab.kubectl("delete", "deployment", "nginx-v116");
      await lab.kubectl("scale", "deployment", "nginx-v117", "--replicas=4");
      await lab.kubectl("patch", "virtualservice", "nginx", "--type=json", `--patch=${WEIGHTS_BY_HAND}`);
      await lab.run("pulumi", "refresh", "--yes", "--skip-preview");
      const seen = await stateOfStack(lab);
      expect(seen("NamespacePatch::mesh")?.metadata.labels).toMatchObject({ "istio-injection": "disabled" });
      expect(seen("Deployment::nginx-v116")).toBeUndefined();
      expect(seen("Deployment::nginx-v117")?.spec).toMatchObject({ replicas: 4 });
      expect(JSON.stringify(seen("VirtualService::split")?.spec)).toMatch(/"weight":10\b.*"weight":90\b/);
      await lab.up();
      await lab.expectSplit({ v116: 50, v117: 50 });
      const { metadata } = await lab.get("namespace", "default");
      expect(metadata.labels).toMatchObject({ "istio-injection": "enabled" });
      expect((await lab.get("deployment", "nginx-v117")).spec).toMatchObject({ replicas: 3 });
      await lab.up("--expect-no-changes");
      await lab.run("pulumi", "refresh", "--yes", "--skip-preview", "--expect-no-changes");
    },
  );

  trial(
    "of a label that is gone and of the gateway's NodePort is repaired, and nothing else changes",
    async () => {
      await lab.kubectl("label", "namespace", "default", "istio-injection-");
      await lab.run("pulumi", "refresh", "--yes", "--skip-preview");
      expect((await stateOfStack(lab))("NamespacePatch::mesh")?.metadata.labels ?? {}).not.toHaveProperty(
        "istio-injection",
      );
      const service = await lab.get<GatewayService>(
        "service",
        "istio-ingressgateway",
        "--namespace=istio-system",
      );
      await lab.kubectl("delete", "service", "istio-ingressgateway", "--namespace=istio-system");
      await lab.create(recreated(service));
      await lab.up();
      expect(await changesOf(lab)).toEqual({ update: 2 });
      expect((await lab.get("namespace", "default")).metadata.labels).toHaveProperty("istio-injection");
      const { nodePorts } = (await lab.outputs()) as { nodePorts: { http2: number } };
      expect(nodePorts.http2).not.toBe(nodePortOf(service));
      await lab.expectSplit({ v116: 50, v117: 50 });
    },
  );
});

describe("versions changed with traffic on", () => {
  trial(
    "a new page, image and number of pods: the pods of that version roll, no request fails",
    async (seen) => {
      const before = await podsOf(lab);
      await lab.set({
        "versions[1].page": "v1.17.9 again",
        "versions[1].image": await imageOf(lab, "nginx-v116"),
        "versions[1].replicas": "2",
      });
      expect(
        await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9", "v1.17.9 again"] }, () => lab.up()),
      ).toEqual([]);
      // The official provider can report a Deployment as ready too soon, when number and content of its pods
      // change.
      await until("the previous pods of nginx-v117 to be gone", async () => {
        const names = (await lab.list("pods", "--selector=version=1.17")).map(
          ({ metadata }) => metadata.name,
        );
        return names.length === 2 && !names.some((name) => before["1.17"].includes(name));
      });
      const after = await podsOf(lab);
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
        expect(await lab.up()).toContain("DestinationRule nginx keeps v118 during this update");
      }),
    ).toEqual([]);
    expect(await subsetsOf(lab)).toEqual(["v116", "v117", "v118", "v119"]);
    await lab.expectSplit({ v116: 40, v117: 40, v119: 20 });
  });

  trial("one is removed, no request fails", async (seen) => {
    await lab.unset("versions[2]", "weights.v119");
    await lab.set({ "weights.v116": "50", "weights.v117": "50" });
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again", "v119"] }, () => lab.up()),
    ).toEqual([]);
    await lab.expectSplit({ v116: 50, v117: 50 });
    expect(await subsetsOf(lab)).toEqual(["v116", "v117"]);
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
        for (const given of [nodes.slice(0, 1), nodes]) {
          await lab.set(Object.assign({}, ...given));
          await lab.up();
          expect(await changesOf(lab)).toEqual({ update: 1 });
          expect(await serversOfHaproxy(lab)).toHaveLength(given.length);
        }
      }),
    ).toEqual([]);
  });
});

describe("Istio changed with traffic on", () => {
  trial("values, in place: no pod of the app rolls, no request fails", async (seen) => {
    const before = await podsOf(lab);
    await lab.set({ "istio.values.pilot.env.LAB_NOTE": "changed" });
    expect(await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9 again"] }, () => lab.up())).toEqual(
      [],
    );
    expect(await changesOf(lab)).toEqual({ update: 1 });
    expect(JSON.stringify(await lab.get("deployment", "istiod", "--namespace=istio-system"))).toContain(
      "LAB_NOTE",
    );
    expect(await podsOf(lab)).toEqual(before);
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
      expect(new Set(await proxyImages(lab))).toEqual(
        new Set([`docker.io/${IMAGE_HUB}/proxyv2:${NEXT_PATCH}`]),
      );
      const planes = await lab.list("deployments", "--namespace=istio-system");
      expect(planes.map(({ metadata }) => metadata.name)).toEqual(["istio-ingressgateway", "istiod"]);
      // No purge came between, because that would have deleted the CRDs.
      expect((await lab.get(...crd)).metadata.uid).toBe(before.metadata.uid);
      await lab.expectSplit({ v116: 50, v117: 50 });
      await lab.up("--expect-no-changes");
    },
  );
});

describe("another owner's Istio", () => {
  trial("was this stack's until it was released: no request fails, a destroy leaves it", async (seen) => {
    const { owner: _, ...planes } = await istioOf(lab);
    await lab.set({ "istio.manage": "false" });
    const { exitCode, stdout } = await lab.try("pulumi", "up", "--yes", "--skip-preview");
    expect(exitCode).not.toBe(0);
    expect(stdout).toContain(
      "give up the claim first (kubectl annotate namespace istio-system istio-lab/owner-)",
    );
    await lab.kubectl("annotate", "namespace", "istio-system", "istio-lab/owner-");
    expect(
      await duringTraffic(lab, seen, { pages: ["v1.16.1", "v1.17.9", "v1.17.9 again"] }, () => lab.up()),
    ).toEqual([]);
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    expect(await istioOf(lab)).toEqual({ ...planes, owner: undefined });
  });

  test("is installed by hand", async () => {
    const settings = [
      "profile=demo",
      `hub=docker.io/${IMAGE_HUB}`,
      `tag=${ISTIO_VERSION}`,
      "values.telemetry.enabled=false",
    ];
    await lab.run("istioctl", "install", "--skip-confirmation", ...settings.map((set) => `--set=${set}`));
    // istiod and two gateways, without the previous pods.
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
    const istio = await istioOf(lab);
    await lab.set({ "istio.manage": "false" });
    await lab.up();
    await lab.expectSplit({ v116: 50, v117: 50 });
    await lab.up("--expect-no-changes");
    await lab.run("pulumi", "refresh", "--yes", "--skip-preview", "--expect-no-changes");
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
    expect(await istioOf(lab)).toEqual(istio);
  });
});

const WEIGHTS_BY_HAND = JSON.stringify([
  { op: "replace", path: "/spec/http/0/route/0/weight", value: 10 },
  { op: "replace", path: "/spec/http/0/route/1/weight", value: 90 },
]);

/** A tag as of another build. The lab has only one build. */
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

/** Settings of a version beside the article's two. */
const third = async (name: string, version: string) => ({
  "versions[2].name": name,
  "versions[2].version": version,
  "versions[2].image": await imageOf(lab, "nginx-v117"),
  "versions[2].page": name,
  "versions[2].replicas": "1",
});
