// What is wrong with a cluster, a kubeconfig or the tools: told once, by preview and by up, before anything
// is touched.

import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type RequestOptions } from "node:http";
import { request } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { parse, stringify } from "yaml";
import { pluginPath } from "../../embedded/lab/plugins.ts";
import { labEnvironment, PROGRAM, stackFile } from "../../embedded/lab/stack.ts";
import { makeCertificateAuthority } from "../../embedded/machines/certificates.ts";
import { adminKubeconfig, pkiDir } from "../../embedded/machines/controlPlane.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../../embedded/versions.ts";
import { TestLab } from "../support/e2e/harness.ts";
import { inventory, leaksSince } from "../support/e2e/inventory.ts";
import { type Sightings, trial } from "../support/e2e/trial.ts";

/**
 * For a command that would hang. That its answer comes within 10 s is test/unit/program-cluster.test.ts's to
 * show: this host may be busy.
 */
const LIMIT_MS = 60_000;

const lab = new TestLab("check-test");
const servers: Server[] = [];
let work = "";

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up", "--no-program");
  work = await mkdtemp(join(tmpdir(), "istio-lab-preflight-"));
});
afterAll(async () => {
  for (const server of servers) server.close();
  await rm(work, { recursive: true });
  await lab.run("down", "--fast", "--quiet");
});

describe("what is wrong is told before anything is touched", () => {
  trial("no kubeconfig at all: says where it looked and which key to set", (seen) =>
    refused(
      seen,
      { settings: { kubeconfig: undefined }, env: { KUBECONFIG: undefined, HOME: work } },
      /^there is no kubeconfig: neither KUBECONFIG nor ~\/\.kube\/config; set kubeconfig to the path of one$/,
    ),
  );

  trial("a kubeconfig that is not there: names the path", (seen) =>
    refused(
      seen,
      { settings: { kubeconfig: "/no/such/file" } },
      /^kubeconfig \/no\/such\/file cannot be used: .*no such file or directory; correct it, or set kubeconfig to the path of another one$/,
    ),
  );

  trial("a context that the kubeconfig lacks: lists those that it has", (seen) =>
    refused(
      seen,
      { settings: { context: "prod" } },
      /^kubeconfig \S+ has no usable context prod; it has: istio-lab-check-test; set context to one of them$/,
    ),
  );

  trial("an API server's address where nobody listens: names it, with kubeconfig and context", async (seen) =>
    refused(
      seen,
      { settings: { kubeconfig: await kubeconfig({ cluster: { server: "https://127.0.0.1:1" } }) } },
      /^cluster https:\/\/127\.0\.0\.1:1 \(kubeconfig \S+, context istio-lab-check-test\) does not answer: .*connection refused/,
    ),
  );

  trial("an API server's address that swallows every packet: gives up", async (seen) => {
    const address = await blackHole();
    await refused(
      seen,
      { settings: { kubeconfig: await kubeconfig({ cluster: { server: `https://${address}:6443` } }) } },
      /^cluster https:\/\/\S+:6443 \(.*\) does not answer in time; is the cluster up, and is it reachable from here\?/,
    );
  });

  trial("a user's certificate that has expired: says when", async (seen) => {
    const { cert, key } = await expiredCertificate("/O=system:masters/CN=admin");
    const user = { "client-certificate": cert, "client-key": key };
    await refused(
      seen,
      { settings: { kubeconfig: await kubeconfig({ user }) } },
      /: the user's certificate expired on \d{4}-\S+Z; get a new kubeconfig from the cluster's administrator$/,
    );
  });

  trial("an API server's certificate that has expired: says whose it is", async (seen) => {
    const { cert, key } = await expiredCertificate("/CN=127.0.0.1");
    const options = { cert: await readFile(cert), key: await readFile(key) };
    const server = `https://${await listening(createTlsServer(options))}`;
    await refused(
      seen,
      { settings: { kubeconfig: await kubeconfig({ cluster: { server } }) } },
      /: the API server's certificate has expired \(.*\); renew it on the cluster$/,
    );
  });

  trial("a kubeconfig of another cluster's authority: does not trust the server", async (seen) => {
    await makeCertificateAuthority(work);
    const authority = {
      "certificate-authority-data": undefined,
      "certificate-authority": join(work, "ca.crt"),
    };
    await refused(
      seen,
      { settings: { kubeconfig: await kubeconfig({ cluster: authority }) } },
      /: the API server's certificate is not trusted: .*; is it the kubeconfig of this cluster\?$/,
    );
  });

  trial(
    "a user with rights in one namespace only: names each verb that is missing, by resource",
    async (seen) => {
      await lab.kubectl("create", "serviceaccount", "visitor");
      await lab.kubectl(
        ...["create", "rolebinding", "visitor", "--clusterrole=cluster-admin"],
        "--serviceaccount=default:visitor",
      );
      const token = await lab.kubectl("create", "token", "visitor");
      await refused(
        seen,
        { settings: { kubeconfig: await kubeconfig({ user: { token } }) } },
        /does not allow this user to get namespaces kube-system; list nodes; .*get, create, patch, delete clusterroles\.rbac\.authorization\.k8s\.io; .*: allow these, or use a context whose user has the cluster role cluster-admin$/,
      );
    },
  );

  trial("a Kubernetes older than Istio's version supports: names both versions", async (seen) => {
    const server = `http://${await listening(await serverOfVersion("v1.28.9"))}`;
    await refused(
      seen,
      { settings: { kubeconfig: await kubeconfig({ cluster: { server } }) } },
      /^istio\.version is 1\.31\.0, and Istio 1\.31 supports Kubernetes 1\.32 and later; .* is v1\.28\.9: upgrade the cluster, or set istio\.version/,
    );
  });

  trial("no istioctl on PATH: says how to get it", async (seen) =>
    refused(
      seen,
      { env: { PATH: await pathWith({}) } },
      /^istioctl is not on PATH; get version 1\.31\.0: curl -L https:\S+ \| ISTIO_VERSION=1\.31\.0 sh -/,
    ),
  );

  trial("an istioctl of another minor version: names both versions", async (seen) =>
    refused(
      seen,
      { env: { PATH: await pathWith({ istioctl: "echo client version: 1.30.4" }) } },
      /^istioctl on PATH is version 1\.30\.4, and istio\.version is 1\.31\.0: set istio\.version to the former, or get the other/,
    ),
  );

  trial("a namespace that does not exist: says how to make it", (seen) =>
    refused(
      seen,
      { settings: { namespace: "shop" } },
      /^namespace is shop, and .* has no such namespace; create it \(kubectl create namespace shop\), or set namespace/,
    ),
  );

  trial("no worker that may be used, all of them cordoned: asks for nodes by hand", async (seen) => {
    const workers = lab.instance.workers.map(({ name }) => name);
    await lab.kubectl("cordon", ...workers);
    await refused(
      seen,
      {},
      /^nodes is empty, and none of the 3 nodes of .* is ready, schedulable and has an address \(.* is cordoned.*\): give nodes as a list/,
    );
    await lab.kubectl("uncordon", ...workers);
  });

  trial("an Istio that somebody else installed: says which, and how to use it", async (seen) => {
    await lab.run(
      ...["istioctl", "install", "--skip-confirmation", "--set", "profile=default"],
      ...["--set", `hub=docker.io/${IMAGE_HUB}`, "--set", `tag=${ISTIO_VERSION}`],
      ...["--set", "values.telemetry.enabled=false"],
    );
    await refused(
      seen,
      {},
      /^there is an Istio in this cluster that this stack did not install \(istio-system\/istiod\): set istio\.manage to false to use it, or uninstall it first$/,
    );
  });

  trial(
    "a Service, a Deployment and a Gateway of the same names, somebody else's: names all three",
    async (seen) => {
      await lab.kubectl("create", "service", "clusterip", "nginx-svc", "--tcp=80");
      await lab.kubectl("create", "deployment", "nginx-v116", "--image=none", "--replicas=0");
      await lab.create({
        apiVersion: "networking.istio.io/v1",
        kind: "Gateway",
        metadata: { name: "nginx-gateway", namespace: "default" },
        spec: {
          servers: [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["shop.example.org"] }],
        },
      });
      const theirs = (object: string) =>
        new RegExp(
          `^${object} in namespace default exists already and is not this stack's \\(field manager: kubectl-create\\): delete it, or set namespace to another one, or let this stack take it over \\(kubectl annotate `,
        );
      await refused(
        seen,
        { settings: { istio: { manage: false } } },
        theirs("Service nginx-svc"),
        theirs("Deployment nginx-v116"),
        theirs("Gateway nginx-gateway"),
      );
    },
  );
});

interface Situation {
  /**
   * Keys of the stack's config that are other than the lab's; undefined is not set, an object is merged into
   * the lab's.
   */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Expects preview and up to end in time with these faults and no others, and the cluster and the load
 * balancer to be as before.
 */
async function refused(
  seen: Sightings,
  { settings = {}, env = {} }: Situation,
  ...faults: RegExp[]
): Promise<void> {
  const file = await configWith(settings);
  const before = await inventory(lab);
  await Promise.all([
    expectFaults(["preview"], file, env, faults),
    expectFaults(["up", "--yes", "--skip-preview"], file, env, faults),
  ]);
  expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
}

async function expectFaults(
  command: readonly string[],
  configFile: string,
  env: Situation["env"],
  faults: readonly RegExp[],
): Promise<void> {
  const { exitCode, stdout, timedOut } = await execa(
    "pulumi",
    [...command, "--non-interactive", "--suppress-progress", "--config-file", configFile],
    { cwd: PROGRAM, env: { ...labEnvironment(lab.instance), ...env }, reject: false, timeout: LIMIT_MS },
  );
  expect({ exitCode, timedOut, errors: errorsIn(stdout) }, stdout).toEqual({
    exitCode: 1,
    timedOut: false,
    errors: [
      `error: Nothing was touched, because of ${faults.length === 1 ? "1 fault" : `${faults.length} faults`}:`,
      ...faults.map((fault) => expect.stringMatching(fault)),
    ],
  });
}

/** The lines below `Diagnostics`, without whose they are. */
function errorsIn(output: string): string[] {
  const [, diagnostics = ""] = output.split("Diagnostics:\n");
  const [section = ""] = diagnostics.split("\n\n");
  return section
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
}

/** The config file of the lab's stack with other settings, beside the one that stays as it is. */
async function configWith(settings: Readonly<Record<string, unknown>>): Promise<string> {
  const stack = parse(await readFile(stackFile(lab.instance), "utf8")) as { config: Record<string, unknown> };
  for (const [key, value] of Object.entries(settings)) {
    const path = `istio-lab:${key}`;
    stack.config[path] = value instanceof Object ? { ...(stack.config[path] as object), ...value } : value;
  }
  const file = join(work, "stack.yaml");
  await writeFile(file, stringify(stack));
  return file;
}

/** The administrator's kubeconfig, its cluster changed or its user another one. */
async function kubeconfig({ cluster, user }: { cluster?: object; user?: object }): Promise<string> {
  const config = parse(await readFile(adminKubeconfig(lab.instance), "utf8")) as {
    clusters: { cluster: object }[];
    users: { user: object }[];
  };
  for (const entry of config.clusters) entry.cluster = { ...entry.cluster, ...cluster };
  for (const entry of config.users) entry.user = user ?? entry.user;
  const file = join(work, "kubeconfig");
  await writeFile(file, stringify(config));
  return file;
}

/** An address of the lab's network that takes every packet to nobody. It goes with the network. */
async function blackHole(): Promise<string> {
  const address = `${lab.instance.prefix}.99`;
  const nobody = ["lladdr", "02:00:00:00:00:99", "dev", lab.instance.link, "nud", "permanent"];
  await execa("ip", ["neigh", "replace", address, ...nobody]);
  return address;
}

/** Certificate and key, signed by the lab's authority and valid until yesterday. */
async function expiredCertificate(subject: string): Promise<{ cert: string; key: string }> {
  const [cert, key, request] = ["expired.crt", "expired.key", "expired.csr"].map((name) => join(work, name));
  const ca = (file: string) => join(pkiDir(lab.instance), file);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await execa("openssl", [
    ...["req", "-new", ...curve, "-subj", subject, "-keyout", `${key}`, "-out", `${request}`],
  ]);
  await execa("openssl", [
    ...["x509", "-req", "-in", `${request}`, "-days", "-1", "-out", `${cert}`],
    ...["-CA", ca("ca.crt"), "-CAkey", ca("ca.key")],
  ]);
  return { cert: `${cert}`, key: `${key}` };
}

/** The lab's API server, but for the version that it gives: no older Kubernetes is at hand. */
async function serverOfVersion(gitVersion: string): Promise<Server> {
  const pki = pkiDir(lab.instance);
  const [ca, cert, key] = await Promise.all(
    ["ca.crt", "admin.crt", "admin.key"].map((file) => readFile(join(pki, file))),
  );
  const target: RequestOptions = { host: lab.instance.controlPlane.address, port: 6443 };
  return createServer((asked, answer) => {
    if (asked.url === "/version") {
      answer.end(JSON.stringify({ gitVersion }));
      return;
    }
    const { method, url: path, headers } = asked;
    const { host: _, ...others } = headers;
    const passedOn = request({ ...target, ca, cert, key, method, path, headers: others }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    asked.pipe(passedOn);
  });
}

/** Where the server listens on loopback, until the end of the tests. */
async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A PATH with Pulumi, kubectl and the system's own programs, and with these scripts. */
async function pathWith(scripts: Readonly<Record<string, string>>): Promise<string> {
  const bin = await mkdtemp(join(work, "bin-"));
  const { stdout: kubectl } = await execa("which", ["kubectl"], { env: labEnvironment(lab.instance) });
  await symlink(kubectl, join(bin, "kubectl"));
  for (const [name, body] of Object.entries(scripts)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  return `${pluginPath(lab.instance)}:${bin}:/usr/bin:/bin`;
}
