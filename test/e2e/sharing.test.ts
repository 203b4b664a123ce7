// A shared cluster: another stack, another control plane, other owners' objects and pods.

import { readFile, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { EdgeMachine } from "../../bench/edgeMachine.ts";
import { labEnvironment, PROGRAM } from "../../embedded/lab/stack.ts";
import { hostKey, sshKeyFile, stopLoadBalancer } from "../../embedded/machines/loadBalancer.ts";
import { BUILT_IMAGES } from "../../embedded/toolchain/images/names.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../../embedded/toolchain/versions/versions.ts";
import { type KubernetesObject, ONE_POD, TestLab } from "../support/e2e/harness.ts";
import { type Inventory, inventory, leaksSince } from "../support/e2e/inventory.ts";
import { duringTraffic, type Sightings, trial } from "../support/e2e/trial.ts";

const lab = new TestLab("share-test", { workers: 1 });
const PAGES = ["v1.16.1\n", "v1.17.9\n"];
/** The cluster and the load balancer before the first update. */
let before: Inventory;

/** The second stack, for namespace shop, with a load balancer of its own. */
const SHOP = "share-test-shop";
const edge = new EdgeMachine("share-test-edge");
const SHOP_PAGES = ["shop, old", "shop, new"] as const;
const passages: Server[] = [];

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await Promise.all([lab.run("up", "--no-program"), edge.start()]);
  before = await inventory(lab);
  await lab.set(ONE_POD);
  await lab.up();
});
afterAll(async () => {
  for (const passage of passages) passage.close();
  await Promise.all([edge.stop(), lab.run("down", "--fast", "--quiet")]);
  await rm(stackFile(), { force: true });
});

describe("a cluster that others use too", () => {
  trial("an object of theirs in the place of the stack's own stops the update, and is named", async () => {
    await lab.kubectl("create", "namespace", "theirs");
    await lab.kubectl("create", "service", "clusterip", "nginx-svc", "--tcp=80", "--namespace=theirs");
    await lab.set({ namespace: "theirs" });
    onTestFinished(() => lab.unset("namespace"));
    const { exitCode, stdout, stderr } = await lab.try("pulumi", "preview");
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toMatch(/Service nginx-svc in namespace theirs exists already .*kubectl-create/);
  });

  trial("a second stack comes: not on the first one's load balancer, then on its own", async (seen) => {
    await makeShop();
    await unnoticed(seen, async () => {
      const { exitCode, all } = await shop("up", "--yes", "--skip-preview");
      expect(exitCode).not.toBe(0);
      expect(all).toContain(
        "/etc/haproxy/haproxy.cfg belongs to organization/istio-lab/share-test, not to " +
          `organization/istio-lab/${SHOP}`,
      );
      await moveShop();
      await shopUp();
    });
    expect(await unnoticedByShop(seen, () => lab.up("--expect-no-changes"))).toEqual([]);
  });

  trial("the second stack is destroyed: the first one's clients do not notice", async (seen) => {
    await unnoticed(seen, async () => {
      expect(await shop("destroy", "--yes", "--skip-preview")).toMatchObject({ exitCode: 0 });
    });
    await lab.up("--expect-no-changes");
    const namespace = await lab.get<KubernetesObject>("namespace", "shop");
    expect(namespace.metadata.labels).toMatchObject({ team: "shop", "istio-injection": "enabled" });
    expect(await lab.list("deployments,services,gateways,virtualservices", "--namespace=shop")).toEqual([]);
  });

  trial("the first stack is destroyed: Istio stays for the others, who are all named", async (seen) => {
    await shopUp();
    await makeTheirs();
    let said = "";
    const failures = await unnoticedByShop(seen, async () => {
      const { exitCode, stdout, stderr } = await lab.try("pulumi", "destroy", "--yes", "--skip-preview");
      said = stdout + stderr;
      expect(exitCode, said).toBe(0);
    });
    expect(failures).toEqual([]);
    for (const holder of [
      ...["VirtualService shop/nginx", "Gateway shop/nginx-gateway", "DestinationRule shop/nginx"],
      ...["VirtualService theirs/site", "Gateway theirs/site", "DestinationRule theirs/site"],
      ...["Deployment istio-system/istiod-canary", "Pod theirs/site", "Pod shop/nginx-v116-"],
    ]) {
      expect(said).toContain(holder);
    }
    const crds = await lab.list("customresourcedefinitions");
    expect(crds.map(({ metadata }) => metadata.name)).toContain("virtualservices.networking.istio.io");
    expect(await lab.list("deployments,services,gateways,virtualservices", "--namespace=default")).toEqual([
      expect.objectContaining({ metadata: expect.objectContaining({ name: "kubernetes" }) }),
    ]);
    expect(await lab.run("ssh", "head -n 1 /etc/haproxy/haproxy.cfg")).not.toContain("istio-lab");
    uninstall = /uninstall it from the directory of this program: (.*)/.exec(said)?.[1] ?? "";
  });

  trial("a load balancer is gone: destroy reports it, and the printed command finishes", async () => {
    await stopLoadBalancer(edge.lab);
    const { exitCode, all } = await shop("destroy", "--yes", "--skip-preview");
    expect(exitCode).not.toBe(0);
    expect(all).toContain(`load balancer lab@${edge.machine.host}:22 does not answer`);
    const [, forget] = /(pulumi state delete .*) && pulumi destroy$/m.exec(all) ?? [];
    await execa("sh", ["-c", `${forget} && pulumi destroy --yes --skip-preview`], onShop);
    expect((await shop("stack", "export")).stdout).not.toContain('"urn"');
    await shop("stack", "rm", "--yes");
  });

  trial("the others are gone: the printed command uninstalls Istio, and nothing is left", async (seen) => {
    await lab.kubectl("delete", "namespace", "theirs", "shop");
    await lab.run("istioctl", "uninstall", "--revision=canary", "--skip-confirmation");
    await execa("sh", ["-c", uninstall], { ...onShop, env: labEnvironment(lab.instance) });
    expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
  });
});

/** The command that the first stack's destroy printed. */
let uninstall = "";

/** Expects that no request for the first stack's page fails during the action. */
async function unnoticed(seen: Sightings, action: () => Promise<unknown>): Promise<void> {
  expect(await duringTraffic(lab, seen, { pages: PAGES }, action)).toEqual([]);
}

/** Failed requests for the second stack's page during the action. */
function unnoticedByShop(seen: Sightings, action: () => Promise<unknown>): Promise<string[]> {
  const url = `http://${edge.machine.host}/echo/test.txt`;
  return duringTraffic(lab, seen, { pages: SHOP_PAGES, url, host: "shop.hung.org.hk" }, action);
}

// ---- the second stack ----

const onShop = {
  cwd: PROGRAM,
  env: { ...labEnvironment(lab.instance), PULUMI_STACK: SHOP },
  all: true,
} as const;

/** `pulumi ARG...` on the second stack; its failure is for the test to judge. */
const shop = (...args: string[]) => execa("pulumi", args, { ...onShop, reject: false });

const stackFile = () => join(PROGRAM, `Pulumi.${SHOP}.yaml`);

async function shopUp(): Promise<void> {
  const { exitCode, all } = await shop("up", "--yes", "--skip-preview");
  expect(exitCode, all).toBe(0);
}

/** The settings of the first stack, except namespace, host and pages. Its namespace had the label before. */
async function makeShop(): Promise<void> {
  await lab.kubectl("create", "namespace", "shop");
  await lab.kubectl("label", "namespace", "shop", "team=shop", "istio-injection=enabled");
  await shop("stack", "init", SHOP);
  await lab.run("pulumi", "config", "cp", "--dest", SHOP);
  await setShop({
    namespace: "shop",
    host: "shop.hung.org.hk",
    "istio.manage": "false",
    "versions[0].page": SHOP_PAGES[0],
    "versions[1].page": SHOP_PAGES[1],
  });
}

/**
 * The way of the second load balancer, on another network: the host forwards its packets to the cluster's
 * node.
 */
async function moveShop(): Promise<void> {
  const { nodePorts } = (await lab.outputs()) as { nodePorts: Record<string, number> };
  for (const port of Object.values(nodePorts)) passages.push(await passage(port));
  await setShop({
    "loadBalancer.host": edge.machine.host,
    "loadBalancer.hostKey": (await hostKey(edge.lab)).text,
    "nodes[0].name": "rancher-node02",
    "nodes[0].address": edge.lab.gateway,
  });
  const key = await readFile(sshKeyFile(edge.lab), "utf8");
  await execa("pulumi", ["config", "set", "--secret", "loadBalancerPrivateKey"], { ...onShop, input: key });
}

async function setShop(settings: Record<string, string>): Promise<void> {
  const args = Object.entries(settings).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
  expect(await shop("config", "set-all", "--path", ...args)).toMatchObject({ exitCode: 0 });
}

async function passage(port: number): Promise<Server> {
  const [node] = lab.instance.workers;
  const server = createServer((socket) => {
    const onward = connect(port, node?.address);
    for (const end of [socket, onward]) end.on("error", () => end.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, edge.lab.gateway, resolve));
  return server;
}

// ---- another owner's objects ----

/** Objects, a pod with a sidecar, and another revision of Istio. */
async function makeTheirs(): Promise<void> {
  const mine = (kind: string, spec: object) =>
    lab.create({
      apiVersion: "networking.istio.io/v1",
      kind,
      metadata: { name: "site", namespace: "theirs" },
      spec,
    });
  await lab.kubectl("label", "namespace", "theirs", "istio-injection=enabled");
  await mine("VirtualService", { hosts: ["site"], http: [{ route: [{ destination: { host: "site" } }] }] });
  await mine("DestinationRule", { host: "site" });
  await mine("Gateway", {
    selector: { istio: "ingressgateway" },
    servers: [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["site.example.org"] }],
  });
  await lab.kubectl("run", "site", `--image=${BUILT_IMAGES.nginx.v116}`, "--namespace=theirs");
  await lab.run(
    "istioctl",
    "install",
    "--skip-confirmation",
    "--revision=canary",
    "--set=profile=minimal",
    `--set=hub=docker.io/${IMAGE_HUB}`,
    `--set=tag=${ISTIO_VERSION}`,
  );
}
