// A cluster with rules of its own: policies of the namespace, and an Istio from another tool.
import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { until } from "../../clients/process.ts";
import { adminKubeconfig } from "../../embedded/machines/controlPlane.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../../embedded/toolchain/versions/versions.ts";
import { CONTROLLER_RULES, DEFAULT_RULES, denyIn, TEAM_RULES } from "../support/e2e/admissionPolicies.ts";
import { type KubernetesObject, TestLab } from "../support/e2e/harness.ts";
import { inventory, leaksSince } from "../support/e2e/inventory.ts";
import { createLimitedUser } from "../support/e2e/limitedUser.ts";
import { Refusals } from "../support/e2e/refusals.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("policy-test", { workers: 1 });
const refusals = new Refusals(lab);
const SHOP = "--namespace=shop";

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up", "--no-program");
  await lab.kubectl("create", "namespace", "shop");
  await lab.set({ namespace: "shop" });
  await refusals.start();
});
afterAll(async () => {
  await refusals.stop();
  await lab.run("down", "--fast", "--quiet");
});

describe("policies of the namespace", () => {
  trial("Pod Security is named at preview, with the settings that satisfy it", async () => {
    await label("pod-security.kubernetes.io/enforce=restricted");
    await lab.kubectl("create", "service", "nodeport", "theirs", "--tcp=80", "--node-port=30999", SHOP);
    const nodePort = "istio.values.gateways.istio-ingressgateway.ports[0].nodePort";
    await lab.set({ [nodePort]: "30999" });
    const said = await refusedPreview();
    await lab.unset("istio.values.gateways");
    expect(said).toMatch(
      /NodePorts of Istio's gateways in istio \(30999\) cannot be had: .*already allocated/,
    );
    expect(said).toContain("namespace shop does not accept pods of v116, v117: ");
    expect(said).toContain('violates PodSecurity "restricted:latest"');
    expect(said).toContain(
      "set securityContext of each version to restricted and istio.components.cni.enabled",
    );
    await lab.set({
      "versions[0].securityContext": "restricted",
      "versions[1].securityContext": "restricted",
      "istio.components.cni.enabled": "true",
    });
    await lab.run("pulumi", "preview");
    await lab.unset("istio.components");
    await label("pod-security.kubernetes.io/enforce-");
  });

  trial("a policy on Deployments is named at preview; labels satisfies it", async () => {
    await denyIn(lab, ["shop", "istio-system"], TEAM_RULES);
    const without = ["create", "deployment", "any", "--image=any", "--dry-run=server", SHOP];
    await until(
      "the policy to be in force",
      async () => (await lab.try("kubectl", ...without)).exitCode !== 0,
    );
    expect(await refusedPreview()).toMatch(
      /does not accept Deployment nginx-v116, Deployment nginx-v117 in namespace shop: .*: every Deployment needs the label team: give what the policy requires \(labels /,
    );
    await lab.set({ "labels.team": "shop" });
    await lab.run("pulumi", "preview");
  });

  trial("a quota on limits is named at preview; versions with resources satisfy it", async () => {
    // As a cluster has it whose default for Pod Security is restricted.
    await denyIn(lab, ["istio-system", "kube-node-lease"], DEFAULT_RULES);
    const pod = ["run", "any", "--image=any", "--dry-run=server", "--namespace=kube-node-lease"];
    await until("the default to be in force", async () =>
      (await lab.try("kubectl", ...pod)).stderr.includes("violates PodSecurity"),
    );
    await create("ResourceQuota", "limits", { hard: { "limits.cpu": "40", "limits.memory": "40Gi" } });
    expect(await refusedPreview()).toMatch(
      /failed quota: limits: must specify limits\.cpu.*set resources of/,
    );
    for (const index of [0, 1])
      await lab.set({
        [`versions[${index}].resources.requests.cpu`]: "10m",
        [`versions[${index}].resources.limits.cpu`]: "1",
        [`versions[${index}].resources.limits.memory`]: "128Mi",
      });
    await lab.up();
    await lab.expectSplit({ v116: 50, v117: 50 });
    const [first] = await lab.list<Pod>("pods", SHOP, "--selector=app=nginx");
    expect(first?.spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 101 });
    // Istio's own Deployments have passed the same policy, and the namespace has let their pods in.
    expect(await lab.list("pods", "--namespace=istio-system", "--selector=team=shop,istio")).toHaveLength(3);
    const { metadata } = await lab.get<KubernetesObject>("namespace", "istio-system");
    expect(metadata.labels).toMatchObject({ "pod-security.kubernetes.io/enforce": "privileged" });
  });

  trial("pods that only their controller may not make are reported in the API server's words", async () => {
    await denyIn(lab, ["shop"], CONTROLLER_RULES);
    const as = "--as=system:serviceaccount:kube-system:replicaset-controller";
    const create = ["run", "any", "--image=any", "--dry-run=server", as, SHOP];
    await until("the policy to be in force", async () =>
      (await lab.try("kubectl", ...create)).stderr.includes("no pods of controllers"),
    );
    await lab.set({ "versions[1].page": "another page" });
    const update = lab.start("pulumi", "up", "--yes", "--skip-preview");
    await update.said("no pods of controllers");
    await lab.kubectl("delete", "validatingadmissionpolicybinding", "controllers");
    expect((await update.process).exitCode).toBe(0);
    await lab.expectSplit({ v116: 50, v117: 50 });
  });

  trial("a full quota and a ConfigMap made immutable keep a rollout back: named at preview", async () => {
    await create("ResourceQuota", "few", { hard: { pods: "6" } });
    const immutable = ["--type=merge", '--patch={"immutable":true}'];
    await lab.kubectl("patch", "configmap", "nginx-static-files", ...immutable, SHOP);
    await lab.run("pulumi", "preview");
    await lab.set({ "versions[1].page": "a third page" });
    const said = await refusedPreview();
    expect(said).toContain(
      "no room for the rollout of v117, which needs one pod more than those that run: ResourceQuota few",
    );
    expect(said).toMatch(/ConfigMap nginx-static-files .* field is immutable when .*: delete that object/);
    await lab.kubectl("delete", "resourcequota/few", "configmap/nginx-static-files", SHOP);
  });

  trial("a quota with room for one more pod, and not for all of them, is named at preview", async () => {
    await create("ResourceQuota", "few", { hard: { pods: "7" } });
    await lab.set({ "versions[1].replicas": "6" });
    expect(await refusedPreview()).toContain(
      "ResourceQuota few allows pods 7, of which 6 is used and 3 more is needed: set fewer replicas",
    );
    await lab.kubectl("delete", "resourcequota", "few", SHOP);
    await lab.set({ "versions[1].replicas": "3" });
  });

  trial("an image that no node can pull is named while the update waits for its pods", async () => {
    const of = "--output=jsonpath={.spec.template.spec.containers[0].image}";
    const image = await lab.kubectl("get", "deployment", "nginx-v117", SHOP, of);
    await lab.set({ "versions[1].image": "docker.io/lab/nginx:none" });
    const update = lab.start("pulumi", "up", "--yes", "--skip-preview", "--refresh");
    await update.said("do not start: container nginx has no image docker.io/lab/nginx:none");
    await lab.kubectl("set", "image", "deployment/nginx-v117", `nginx=${image}`, SHOP);
    expect((await update.process).exitCode).toBe(0);
    await lab.set({ "versions[1].image": image });
  });

  trial("labels of another owner that decide about injection are named at preview", async () => {
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    await lab.kubectl("delete", "resourcequota", "limits", SHOP);
    await lab.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "--all");
    await label("istio-injection=disabled");
    await lab.kubectl("create", "namespace", "istio-system");
    await lab.kubectl("label", "namespace", "istio-system", "pod-security.kubernetes.io/enforce=baseline");
    await lab.set({ "istio.components.cni.enabled": "true" });
    const said = await refusedPreview();
    expect(said).toContain("kubectl label namespace shop istio-injection-");
    expect(said).toMatch(
      /namespace istio-system does not accept pods of istio-cni-node: .*PodSecurity "baseline/,
    );
    await lab.unset("istio.components");
    await lab.kubectl("delete", "namespace", "istio-system");
    await label("istio-injection-", "istio.io/rev=canary");
    expect(await refusedPreview()).toContain("set istio.revision to canary, or remove it");
    await label("istio.io/rev-");
  });
});

describe("an Istio that is there already", () => {
  trial("a revision, and a gateway of another name in another namespace, are named at preview", async () => {
    await lab.run("istioctl", "install", "--skip-confirmation", ...CONTROL_PLANE);
    await lab.kubectl("create", "namespace", "ingress");
    for (const object of [GATEWAY, GATEWAY_SERVICE]) await lab.create(object);
    await lab.kubectl("rollout", "status", "deployment/door", "--namespace=ingress", "--timeout=120s");
    await lab.set({ "istio.manage": "false", "istio.revision": "canary" });
    const said = await refusedPreview();
    // istioctl gives the tag `default` to the first revision of a cluster.
    expect(said).toContain(
      "no Istio of revision canary: set istio.revision to one that it has (default, stable)",
    );
    expect(said).toMatch(/no Service istio-system\/istio-ingressgateway: .*\(ingress\/door\)/);
    await lab.set({
      "istio.revision": "stable",
      "istio.gateway.namespace": "ingress",
      "istio.gateway.service": "door",
      "istio.gateway.selector.istio": "door",
    });
  });

  trial("is used by a user with exactly the permissions that the preflight asks for", async (seen) => {
    const gateway = { namespace: "ingress", service: "door", selector: { istio: "door" } };
    const istio = { manage: false, revision: "stable", gateway };
    const token = await createLimitedUser(lab, { namespace: "shop", istio });
    const before = await inventory(lab);
    await lab.set({ kubeconfig: await refusals.kubeconfig({ user: { token } }) });
    await lab.up();
    await lab.expectSplit({ v116: 50, v117: 50 });
    await lab.set({ "weights.v116": "40", "weights.v117": "60" });
    await lab.up();
    await lab.up("--expect-no-changes");
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    await lab.set({ kubeconfig: adminKubeconfig(lab.instance) });
    expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
  });

  trial("whose gateway routes the host name already", async () => {
    await lab.kubectl("create", "namespace", "theirs");
    onTestFinished(async () => {
      await lab.kubectl("delete", "namespace", "theirs");
    });
    const server = { port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*"] };
    await create("Gateway", "site", { selector: { istio: "door" }, servers: [server] }, "theirs");
    const route = [{ destination: { host: "site" } }];
    const routes = { hosts: ["nginx.hung.org.hk"], gateways: ["site"], http: [{ route }] };
    await create("VirtualService", "site", routes, "theirs");
    expect(await refusedPreview()).toContain("VirtualService theirs/site routes nginx.hung.org.hk");
  });
});

/** A control plane with a revision only. It has no Service istiod and no default webhook. */
const CONTROL_PLANE = [
  "profile=minimal",
  "revision=stable",
  `hub=docker.io/${IMAGE_HUB}`,
  `tag=${ISTIO_VERSION}`,
  "values.telemetry.enabled=false",
].map((setting) => `--set=${setting}`);

const DOOR = { app: "door", istio: "door" };

/**
 * A gateway like that of Istio's Helm chart for gateways, in a namespace of its own. The revision's webhook
 * fills in the proxy.
 */
const GATEWAY = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "door", namespace: "ingress", labels: DOOR },
  spec: {
    selector: { matchLabels: DOOR },
    template: {
      metadata: {
        labels: { ...DOOR, "sidecar.istio.io/inject": "true", "istio.io/rev": "stable" },
        annotations: { "inject.istio.io/templates": "gateway" },
      },
      // Kubernetes reads "auto" as a name without a tag, which it would pull each time.
      spec: { containers: [{ name: "istio-proxy", image: "auto", imagePullPolicy: "IfNotPresent" }] },
    },
  },
};

const GATEWAY_SERVICE = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "door", namespace: "ingress", labels: DOOR },
  spec: {
    type: "LoadBalancer",
    selector: DOOR,
    ports: Object.entries({ "status-port": 15021, http2: 80, https: 443 }).map(([name, port]) => ({
      name,
      port,
    })),
  },
};

interface Pod extends KubernetesObject {
  readonly spec: { readonly securityContext?: object };
}

const label = (...labels: string[]) => lab.kubectl("label", "namespace", "shop", "--overwrite", ...labels);

function create(kind: string, name: string, spec: object, namespace = "shop"): Promise<void> {
  const apiVersion = kind === "ResourceQuota" ? "v1" : "networking.istio.io/v1";
  return lab.create({ apiVersion, kind, metadata: { name, namespace }, spec });
}

/** The output of a preview that refuses. */
async function refusedPreview(): Promise<string> {
  const { exitCode, stdout, stderr } = await lab.try("pulumi", "preview");
  expect(exitCode, stdout).not.toBe(0);
  return stdout + stderr;
}
