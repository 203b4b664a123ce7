// A shared cluster: another stack, another control plane, other owners' objects and pods.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { EdgeMachine } from "../../bench/edgeMachine.ts";
import { labEnvironment, PROGRAM } from "../../embedded/lab/stack.ts";
import { hostKey, SSH_USER, sshKeyFile, stopLoadBalancer } from "../../embedded/machines/loadBalancer.ts";
import { initPid } from "../../embedded/machines/machine.ts";
import { BUILT_IMAGES } from "../../embedded/toolchain/images/names.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../../embedded/toolchain/versions/versions.ts";
import { type KubernetesObject, SMALL, TestLab } from "../support/e2e/harness.ts";
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
/** Its page, at the load balancer's port of the time. */
let shopUrl = `http://${edge.machine.host}:8080/echo/test.txt`;
/** What stands in for commands of this machine while the second load balancer is on it. */
let bin: string | undefined;

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await Promise.all([lab.run("up", "--no-program"), edge.start()]);
  before = await inventory(lab);
  await lab.set(SMALL);
  await lab.up();
});
afterAll(async () => {
  for (const passage of passages) passage.close();
  await Promise.all([edge.stop(), lab.run("down", "--fast", "--quiet"), endLocal()]);
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

  trial(
    "a second stack comes: not on the first one's load balancer, then on one of this machine",
    async (seen) => {
      await makeShop();
      await unnoticed(seen, async () => {
        const { exitCode, all } = await shop("up", "--yes", "--skip-preview");
        expect(exitCode).not.toBe(0);
        expect(all).toContain(
          "/etc/haproxy/haproxy.cfg belongs to organization/istio-lab/share-test, not to " +
            `organization/istio-lab/${SHOP}`,
        );
        await makeShopLocal();
        await shopUp();
      });
      expect(await unnoticedByShop(seen, () => lab.up("--expect-no-changes"))).toEqual([]);
      const shift = async () => {
        await setShop({ "weights.v116": "100", "weights.v117": "0" });
        await shopUp();
      };
      expect(await unnoticedByShop(seen, shift)).toEqual([]);
      const pages = Array.from({ length: 20 }, () => edge.inside(`curl --silent ${HEADER} ${shopUrl}`));
      expect(new Set(await Promise.all(pages))).toEqual(new Set([SHOP_PAGES[0]]));
    },
  );

  trial("the second stack is destroyed: the clients of the first one do not notice", async (seen) => {
    await unnoticed(seen, async () => {
      expect(await shop("destroy", "--yes", "--skip-preview")).toMatchObject({ exitCode: 0 });
    });
    // The other site of that HAProxy is still there, and nothing of the stack is.
    expect(await edge.inside(`curl --silent http://localhost:8079; ls -A ${DIRECTORY}`)).toBe("theirs");
    await moveShop();
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
  const traffic = { pages: SHOP_PAGES, url: shopUrl, host: "shop.hung.org.hk" };
  return duringTraffic(lab, seen, traffic, action);
}

const HEADER = "--header 'Host: shop.hung.org.hk'";

// ---- the second stack ----

const onShop = {
  cwd: PROGRAM,
  env: { ...labEnvironment(lab.instance), PULUMI_STACK: SHOP } as Record<string, string>,
  all: true,
} as const;

/** `pulumi ARG...` on the second stack; its failure is for the test to judge. */
function shop(...args: string[]) {
  const PATH = [...(bin ? [bin] : []), onShop.env.PATH ?? ""].join(delimiter);
  return execa("pulumi", args, { ...onShop, env: { ...onShop.env, PATH }, reject: false });
}

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

/** Where the second load balancer reads further files. */
const DIRECTORY = "/etc/haproxy/conf.d";

/**
 * The second load balancer as the HAProxy of this machine, beside another site: `id` and `sudo` stand for
 * those of an ordinary user there. It is on another network: the host forwards its packets to the cluster's
 * node.
 */
async function makeShopLocal(): Promise<void> {
  const { nodePorts } = (await lab.outputs()) as { nodePorts: Record<string, number> };
  for (const port of Object.values(nodePorts)) passages.push(await passage(port));
  await edge.inside(`
    printf '%s\\n' 'listen theirs' '  mode http' '  bind :8079' '  http-request return string theirs content-type text/plain' \\
      >>/etc/haproxy/haproxy.cfg
    mkdir ${DIRECTORY}; echo 'EXTRAOPTS="-f ${DIRECTORY}"' >>/etc/default/haproxy; systemctl restart haproxy`);
  bin = await mkdtemp(join(tmpdir(), "istio-lab-local-"));
  const there = `nsenter --target=${await initPid(edge.lab.loadBalancer)} --mount --uts --ipc --net --pid`;
  for (const [name, line] of Object.entries({
    id: 'case $* in -u) echo 1000;; *) exec /usr/bin/id "$@";; esac',
    sudo: `exec ${there} runuser --user ${SSH_USER} -- sudo "$@"`,
  }))
    await writeFile(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  for (const name of ["host", "user", "hostKey", "port"]) await unsetShop(`loadBalancer.${name}`);
  await unsetShop("loadBalancerPrivateKey");
  await setShop({
    "loadBalancer.local": "true",
    "loadBalancer.mode": "include",
    "loadBalancer.httpPort": "8080",
    "loadBalancer.httpsPort": "8443",
    "nodes[0].name": "rancher-node02",
    "nodes[0].address": edge.lab.gateway,
  });
}

async function endLocal(): Promise<void> {
  if (bin) await rm(bin, { recursive: true });
  bin = undefined;
}

/** The same load balancer over SSH, with consent to replace its file. */
async function moveShop(): Promise<void> {
  await endLocal();
  shopUrl = `http://${edge.machine.host}/echo/test.txt`;
  for (const name of ["local", "httpPort", "httpsPort"]) await unsetShop(`loadBalancer.${name}`);
  await setShop({
    "loadBalancer.mode": "file",
    "loadBalancer.host": edge.machine.host,
    "loadBalancer.user": SSH_USER,
    "loadBalancer.hostKey": (await hostKey(edge.lab)).text,
  });
  const key = await readFile(sshKeyFile(edge.lab), "utf8");
  await execa("pulumi", ["config", "set", "--secret", "loadBalancerPrivateKey"], { ...onShop, input: key });
}

async function setShop(settings: Record<string, string>): Promise<void> {
  const args = Object.entries(settings).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
  expect(await shop("config", "set-all", "--path", ...args)).toMatchObject({ exitCode: 0 });
}

const unsetShop = (key: string) => shop("config", "rm", "--path", key);

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
