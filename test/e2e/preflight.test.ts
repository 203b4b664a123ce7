/**
 * Faults of a cluster, a kubeconfig or the tools: an update reports each once, before anything is touched.
 */

import { mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { execa } from "execa";
import { afterAll, beforeAll, describe } from "vitest";
import { pluginPath } from "../../embedded/lab/pluginHome.ts";
import { labEnvironment } from "../../embedded/lab/stack.ts";
import { makeCertificateAuthority } from "../../embedded/machines/certificates.ts";
import { pkiDir } from "../../embedded/machines/controlPlane.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../../embedded/toolchain/versions/versions.ts";
import { TestLab } from "../support/e2e/harness.ts";
import { Refusals } from "../support/e2e/refusals.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("check-test", { workers: 1 });
const refusals = new Refusals(lab);

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up", "--no-program");
  await refusals.start();
});
afterAll(async () => {
  await refusals.stop();
  await lab.run("down", "--fast", "--quiet");
});

describe("a fault is reported before anything is touched", () => {
  trial("no kubeconfig at all: says where it looked and which key to set", (seen) =>
    refusals.refused(
      seen,
      { settings: { kubeconfig: undefined }, env: { KUBECONFIG: undefined, HOME: refusals.work } },
      /^there is no kubeconfig: neither KUBECONFIG nor ~\/\.kube\/config; set kubeconfig to the path of one$/,
    ),
  );

  trial("a kubeconfig that is not there: names the path", (seen) =>
    refusals.refused(
      seen,
      { settings: { kubeconfig: "/no/such/file" } },
      /^kubeconfig \/no\/such\/file cannot be used: .*no such file or directory; correct it, or set kubeconfig to the path of another one$/,
    ),
  );

  trial("a context that the kubeconfig lacks: lists those that it has", (seen) =>
    refusals.refused(
      seen,
      { settings: { context: "prod" } },
      /^kubeconfig \S+ has no usable context prod; it has: istio-lab-check-test; set context to one of them$/,
    ),
  );

  trial("an API server's address without a listener: names it, with kubeconfig and context", async (seen) =>
    refusals.refused(
      seen,
      { settings: { kubeconfig: await refusals.kubeconfig({ cluster: { server: "https://127.0.0.1:1" } }) } },
      /^cluster https:\/\/127\.0\.0\.1:1 \(kubeconfig \S+, context istio-lab-check-test\) does not answer: .*connection refused/,
    ),
  );

  trial("an API server's address that answers no packet: gives up in time", async (seen) => {
    const address = await blackHole();
    await refusals.refused(
      seen,
      {
        settings: {
          kubeconfig: await refusals.kubeconfig({ cluster: { server: `https://${address}:6443` } }),
        },
      },
      /^cluster https:\/\/\S+:6443 \(.*\) does not answer in time; is the cluster up, and is it reachable from here\?/,
    );
  });

  trial("a user's certificate that has expired: says when", async (seen) => {
    const { cert, key } = await expiredCertificate("/O=system:masters/CN=admin");
    const user = { "client-certificate": cert, "client-key": key };
    await refusals.refused(
      seen,
      { settings: { kubeconfig: await refusals.kubeconfig({ user }) } },
      /: the user's certificate expired on \d{4}-\S+Z; get a new kubeconfig from the cluster's administrator$/,
    );
  });

  trial("an API server's certificate that has expired: says whose it is", async (seen) => {
    const { cert, key } = await expiredCertificate("/CN=127.0.0.1");
    const options = { cert: await readFile(cert), key: await readFile(key) };
    const server = `https://${await refusals.listening(createTlsServer(options))}`;
    await refusals.refused(
      seen,
      { settings: { kubeconfig: await refusals.kubeconfig({ cluster: { server } }) } },
      /: the API server's certificate has expired \(.*\); renew it on the cluster$/,
    );
  });

  trial("a kubeconfig of another cluster's authority: does not trust the server", async (seen) => {
    await makeCertificateAuthority(refusals.work);
    const authority = {
      "certificate-authority-data": undefined,
      "certificate-authority": join(refusals.work, "ca.crt"),
    };
    await refusals.refused(
      seen,
      { settings: { kubeconfig: await refusals.kubeconfig({ cluster: authority }) } },
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
      await refusals.refused(
        seen,
        { settings: { kubeconfig: await refusals.kubeconfig({ user: { token } }) } },
        /does not allow this user to get namespaces kube-system; list nodes; .*get, create, patch, delete clusterroles\.rbac\.authorization\.k8s\.io; .*: allow these, or use a context whose user has the cluster role cluster-admin$/,
      );
    },
  );

  trial("a Kubernetes older than Istio's version supports: names both versions", async (seen) => {
    const server = `http://${await refusals.apiServerWith({ "/version": { gitVersion: "v1.28.9" } })}`;
    await refusals.refused(
      seen,
      { settings: { kubeconfig: await refusals.kubeconfig({ cluster: { server } }) } },
      /^istio\.version is 1\.31\.0, and Istio 1\.31 supports Kubernetes 1\.32 and later; .* is v1\.28\.9: upgrade the cluster, or set istio\.version/,
    );
  });

  trial("no istioctl on PATH: says how to get it", async (seen) =>
    refusals.refused(
      seen,
      { env: { PATH: await pathWith({}) } },
      /^istioctl is not on PATH; get version 1\.31\.0: curl -L https:\S+ \| ISTIO_VERSION=1\.31\.0 sh -/,
    ),
  );

  trial("an istioctl of another minor version: names both versions", async (seen) =>
    refusals.refused(
      seen,
      { env: { PATH: await pathWith({ istioctl: "echo client version: 1.30.4" }) } },
      /^istioctl on PATH is version 1\.30\.4, and istio\.version is 1\.31\.0: set istio\.version to the former, or get the other/,
    ),
  );

  trial("a namespace that does not exist: says how to make it", (seen) =>
    refusals.refused(
      seen,
      { settings: { namespace: "shop" } },
      /^namespace is shop, and .* has no such namespace; create it \(kubectl create namespace shop\), or set namespace/,
    ),
  );

  trial("no usable worker, all of them cordoned: requests the setting nodes", async (seen) => {
    const workers = lab.instance.workers.map(({ name }) => name);
    await lab.kubectl("cordon", ...workers);
    await refusals.refused(
      seen,
      {},
      /^nodes is empty, and no node of .* is ready, schedulable and has an address \(.* is cordoned.*\): give nodes as a list/,
    );
    await lab.kubectl("uncordon", ...workers);
  });

  trial("an Istio without an owner: names it, and how to use it", async (seen) => {
    await lab.run(
      ...["istioctl", "install", "--skip-confirmation", "--set", "profile=default"],
      ...["--set", `hub=docker.io/${IMAGE_HUB}`, "--set", `tag=${ISTIO_VERSION}`],
      ...["--set", "values.telemetry.enabled=false"],
    );
    await refusals.refused(
      seen,
      {},
      /^there is an Istio in this cluster that this stack did not install \(istio-system\/istiod\): set istio\.manage to false to use it, or uninstall it first$/,
    );
  });

  trial(
    "a Service, a Deployment and a Gateway of the same names, made by kubectl: names all three",
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
          `^${object} in namespace default exists already and is not this stack's \\(field manager: ` +
            "kubectl-create\\): delete it, or set namespace to another one, or let this stack take it " +
            "over \\(kubectl annotate ",
        );
      await refusals.refused(
        seen,
        { settings: { istio: { manage: false } } },
        theirs("Service nginx-svc"),
        theirs("Deployment nginx-v116"),
        theirs("Gateway nginx-gateway"),
      );
    },
  );
});

/**
 * An address of the lab's network without a machine. Packets to it get no answer. It is removed with the
 * network.
 */
async function blackHole(): Promise<string> {
  const address = `${lab.instance.prefix}.99`;
  const nowhere = ["lladdr", "02:00:00:00:00:99", "dev", lab.instance.link, "nud", "permanent"];
  await execa("ip", ["neigh", "replace", address, ...nowhere]);
  return address;
}

/** Certificate and key, signed by the lab's authority and valid until yesterday. */
async function expiredCertificate(subject: string): Promise<{ cert: string; key: string }> {
  const [cert, key, request] = ["expired.crt", "expired.key", "expired.csr"].map((name) =>
    join(refusals.work, name),
  );
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

/** A PATH with these scripts, Pulumi, kubectl, this Node and the system's own programs. */
async function pathWith(scripts: Readonly<Record<string, string>>): Promise<string> {
  const bin = await mkdtemp(join(refusals.work, "bin-"));
  const { stdout: kubectl } = await execa("which", ["kubectl"], { env: labEnvironment(lab.instance) });
  await symlink(kubectl, join(bin, "kubectl"));
  await symlink(process.execPath, join(bin, "node"));
  for (const [name, body] of Object.entries(scripts)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  return `${pluginPath(lab.instance)}:${bin}:/usr/bin:/bin`;
}
