/** The article from end to end on real machines, through the users' command line. */
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { haproxyWorker } from "../../bench/edgeMachine.ts";
import { KUBERNETES_SERVICE_IP } from "../../embedded/host/instance.ts";
import { type KubernetesObject, TestLab } from "../support/e2e/harness.ts";
import { bypassFilters, podNetworks, resolvedBy, strayMachines } from "../support/e2e/machines.ts";
import { changedSettings, leaksOnHost, tracesOf } from "../support/e2e/traces.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("e2e", { launched: true });

beforeAll(() => lab.run("down", "--fast", "--quiet"));

// A run that fails half-way also takes its machines down.
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("an empty cluster", () => {
  test("starts: three workers of the article's names", async () => {
    await lab.run("up", "--no-program");
    const { items: nodes } = JSON.parse(await lab.run("kubectl", "get", "nodes", "-o", "json")) as {
      items: KubernetesObject[];
    };
    expect(nodes.map(({ metadata }) => metadata.name)).toEqual([
      "rancher-node02",
      "rancher-node03",
      "rancher-node04",
    ]);
  });

  test("preview lists what will be made, fails on nothing and touches nothing", async () => {
    const preview = await lab.run("pulumi", "preview", "--json");
    const { changeSummary, steps } = JSON.parse(preview) as {
      changeSummary: Record<string, number>;
      steps: { urn: string }[];
    };
    expect(Object.keys(changeSummary)).toEqual(["create"]);
    expect(steps.map(({ urn }) => urn.split("$").at(-1))).toEqual(
      expect.arrayContaining([
        "command:local:Command::istio",
        "kubernetes:core/v1:NamespacePatch::mesh",
        "kubernetes:core/v1:ConfigMap::nginx-pages",
        "kubernetes:apps/v1:Deployment::nginx-v116",
        "kubernetes:apps/v1:Deployment::nginx-v117",
        "kubernetes:core/v1:Service::nginx",
        "kubernetes:networking.istio.io/v1:Gateway::split-gateway",
        "kubernetes:networking.istio.io/v1:DestinationRule::split-subsets",
        "kubernetes:networking.istio.io/v1:VirtualService::split",
        "command:remote:Command::edge",
      ]),
    );
    expect((await lab.list("namespaces")).map(({ metadata }) => metadata.name)).not.toContain("istio-system");
  });

  test("status says that the stack is not up", async () => {
    const { exitCode, stdout } = await lab.try("status");
    expect(stdout).toContain("not up: ./lab up");
    expect(exitCode).toBe(1);
  });
});

describe("up", () => {
  test("that is interrupted during the installation ends in order, and can be run again", async () => {
    const up = lab.start("up");
    await up.said("Istio core installed");
    up.process.kill("SIGINT");
    const { exitCode } = await up.process;
    expect(exitCode).toBe(8);
    expect(await lab.run("pulumi", "stack", "export")).not.toContain("BEGIN OPENSSH PRIVATE KEY");
  });

  test("serves the page, and ends with URL, hosts line and measured split", async () => {
    const said = await lab.run("up");
    expect(said).toContain("http://nginx.hung.org.hk/echo/test.txt");
    expect(said).toContain(`${lab.instance.loadBalancer.address} nginx.hung.org.hk`);
    expect(said).toContain("split as configured");
  });

  test("the probe agrees with 50/50", () => lab.expectSplit({ v116: 50, v117: 50 }));

  test("every object of the article is there under its name", async () => {
    const kinds =
      "deployments,configmaps,services,destinationrules,virtualservices,gateways.networking.istio.io";
    const objects = await lab.list<KubernetesObject & { kind: string }>(kinds, "--namespace=default");
    const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(names).toEqual(
      expect.arrayContaining([
        "Deployment/nginx-v116",
        "Deployment/nginx-v117",
        "ConfigMap/nginx-static-files",
        "Service/nginx-svc",
        "DestinationRule/nginx",
        "VirtualService/nginx",
        "Gateway/nginx-gateway",
      ]),
    );
    const istio = await lab.list("deployments", "--namespace=istio-system");
    expect(istio.map(({ metadata }) => metadata.name).sort()).toEqual([
      "istio-egressgateway",
      "istio-ingressgateway",
      "istiod",
    ]);
  });

  test("every pod of the app has its sidecar and is ready", async () => {
    interface Pod extends KubernetesObject {
      readonly spec: { initContainers: { name: string }[] };
      readonly status: { containerStatuses: { ready: boolean }[] };
    }
    const pods = await lab.list<Pod>("pods", "--selector=app=nginx");
    expect(pods.map(({ metadata }) => metadata.labels?.version).sort()).toEqual([
      "1.16",
      "1.16",
      "1.16",
      "1.17",
      "1.17",
      "1.17",
    ]);
    for (const pod of pods) {
      expect(pod.spec.initContainers.map(({ name }) => name)).toContain("istio-proxy");
      expect(pod.status.containerStatuses.every(({ ready }) => ready)).toBe(true);
    }
  });

  test("the label is one among the namespace's own", async () => {
    const { metadata } = await lab.get("namespace", "default");
    expect(metadata.labels).toEqual({
      "istio-injection": "enabled",
      "kubernetes.io/metadata.name": "default",
    });
  });

  test("a Host that the VirtualService does not name gets 404", async () => {
    const { statusCode, body } = await request(lab.url, { headers: { host: "other.hung.org.hk" } });
    await body.dump();
    expect(statusCode).toBe(404);
  });

  test("the NodePort answers past the load balancer too, with the port in the Host header", async () => {
    const { nodePorts } = (await lab.outputs()) as { nodePorts: { http2: number } };
    for (const { address } of lab.instance.workers) {
      const host = `nginx.hung.org.hk:${nodePorts.http2}`;
      const { statusCode, body } = await request(`http://${address}:${nodePorts.http2}/echo/test.txt`, {
        headers: { host },
      });
      await body.dump();
      expect(statusCode).toBe(200);
    }
  });

  test("status is all well, and names what is a stand-in", async () => {
    const status = JSON.parse(await lab.run("status", "--json")) as {
      ok: boolean;
      standIns: string[];
      haproxyConfig: string;
    };
    expect(status.haproxyConfig).toBe("as pushed");
    expect(status.standIns.map((line) => line.split(":")[0])).toEqual(
      expect.arrayContaining(["nginx", "Envoy"]),
    );
    expect(status.ok).toBe(true);
  });

  test("each machine is in a cgroup of its own, none in its caller's; no setting of the host changes", async () => {
    expect(await strayMachines(lab.instance)).toEqual([]);
    expect(await changedSettings()).toEqual([]);
  });

  test("without br_netfilter every pod reaches the cluster's DNS, from its own node too", async () => {
    await bypassFilters(lab.instance);
    const [dns] = await lab.list<{ status: { podIP: string } }>("pods", "--selector=k8s-app=kube-dns", "-A");
    const pods = (await Promise.all(lab.instance.workers.map(podNetworks))).map((pods) =>
      pods.filter(({ address }) => address !== dns?.status.podIP),
    );
    // Also on the node with the DNS pod.
    expect(pods.map(({ length }) => length > 0)).toEqual([true, true, true]);
    for (const pod of pods.flat()) expect(await resolvedBy(pod), pod.address).toBe(KUBERNETES_SERVICE_IP);
  });

  test("a second up changes nothing, and refresh finds nothing", async () => {
    await lab.run("pulumi", "up", "--yes", "--skip-preview", "--expect-no-changes");
    await lab.run("pulumi", "refresh", "--yes", "--skip-preview", "--expect-no-changes");
    await lab.run("pulumi", "preview", "--expect-no-changes");
  });
});

describe("a shift of weights", () => {
  trial("to 90/10 updates the VirtualService alone, loses no request, and the probe agrees", async (seen) => {
    const pushed = await haproxyWorker(lab.instance);
    const said = JSON.parse(await lab.run("shift", "--json", "v116=90", "v117=10")) as {
      shift: { failed: number; requests: number; times: { lastOld: number } };
    };
    const { same, ...changed } = await lab.lastChanges();
    expect(changed).toEqual({ update: 1 });
    expect(same).toBeGreaterThan(10);
    seen.requests += said.shift.requests;
    seen.failed += said.shift.failed;
    expect(seen.failed).toBe(0);
    expect(seen.requests).toBeGreaterThan(0);
    await lab.expectSplit({ v116: 90, v117: 10 });
    // Nothing new for HAProxy: the same worker serves.
    expect(await haproxyWorker(lab.instance)).toBe(pushed);
  });

  trial("to 0/100 leaves the one version without a request", async (seen) => {
    await lab.run("shift", "v116=0", "v117=100");
    const { requests, failed, served } = await lab.expectSplit({ v116: 0, v117: 100 });
    seen.requests += requests;
    seen.failed += failed;
    expect(served).toEqual({ v116: 0, v117: 800 });
  });

  trial("to weights that cannot be names every fault and touches nothing", async () => {
    const { exitCode, stderr } = await lab.try("shift", "v116=60", "v118=50");
    expect(exitCode).toBe(2);
    expect(stderr).toContain("v118");
    expect(stderr).toContain("v117");
    await lab.expectSplit({ v116: 0, v117: 100 });
  });
});

describe("a machine whose kubelet dies", () => {
  const [, broken] = lab.instance.workers;
  const name = broken?.name ?? "";

  trial(
    "is named by status, with the log; the next up starts it again and changes nothing of the program",
    async () => {
      await lab.killDaemon(name, "kubelet");
      const { exitCode, stdout } = await lab.try("status");
      expect(stdout).toContain(`kubelet ended with exit code 137: ./lab logs ${name} kubelet`);
      expect(exitCode).toBe(1);
      await lab.run("up");
      const { same, ...changed } = await lab.lastChanges();
      expect(changed).toEqual({});
      expect(same).toBeGreaterThan(10);
      expect(JSON.parse(await lab.run("status", "--json"))).toMatchObject({ ok: true });
    },
  );
});

describe("destroy", () => {
  trial("leaves nothing of Istio, the app or the pushed config", async () => {
    const original = await lab.run("ssh", "cat /etc/haproxy/haproxy.cfg.before-istio-lab");
    await lab.run("pulumi", "destroy", "--yes", "--skip-preview");
    expect(await lab.run("ssh", "cat /etc/haproxy/haproxy.cfg")).toBe(original);
    expect(await lab.run("ssh", "systemctl is-active haproxy")).toBe("active");
    expect(await lab.run("ssh", "ls /etc/haproxy")).not.toContain("istio-lab");
    expect(await leftOfIstio()).toEqual([]);
    const { metadata } = await lab.get("namespace", "default");
    expect(metadata.labels).toEqual({ "kubernetes.io/metadata.name": "default" });
    const app = await lab.list("deployments,configmaps,services,pods", "--namespace=default");
    expect(app.map(({ metadata }) => metadata.name).sort()).toEqual(["kube-root-ca.crt", "kubernetes"]);
  });

  trial("down leaves nothing on the host", async (seen) => {
    const up = await tracesOf(lab.instance);
    expect(Object.values(up).every((traces) => traces.length > 0)).toBe(true);
    await lab.run("down");
    expect(await leaksOnHost(lab.instance, seen)).toEqual([]);
  });

  test("down again has nothing to do", async () => {
    await lab.run("down");
  });
});

/** Names of all objects that Istio makes in a cluster. */
async function leftOfIstio(): Promise<string[]> {
  const kinds = [
    ...["namespaces", "customresourcedefinitions", "clusterroles", "clusterrolebindings", "configmaps"],
    ...["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
  ];
  const objects = await lab.list<KubernetesObject & { kind: string }>(kinds.join(","), "--all-namespaces");
  return objects
    .map(({ kind, metadata }) => `${kind}/${metadata.namespace ?? ""}/${metadata.name}`)
    .filter((name) => name.includes("istio"));
}
