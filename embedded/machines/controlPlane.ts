/** Starts the control plane: the cluster's certificates and its four daemons. */
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { get, type RequestOptions } from "node:https";
import { join } from "node:path";
import { succeeds, until } from "../../clients/process.ts";
import { type Instance, KUBERNETES_SERVICE_IP, SERVICE_CIDR } from "../host/instance.ts";
import { patience } from "../host/patience.ts";
import { makeCertificate, makeCertificateAuthority, makeServiceAccountKey } from "./certificates.ts";
import { endOfLog, whileDaemonsRun } from "./daemons.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { type Boot, prepare, runningPid, start } from "./machine.ts";

const SERVER_NAMES = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

/** The administrator's kubeconfig of a lab, for use on the host. */
export function adminKubeconfig(lab: Instance): string {
  return join(lab.dir, "kubeconfig");
}

export function pkiDir(lab: Instance): string {
  return join(lab.dir, "pki");
}

export function serverUrl(lab: Instance): string {
  return `https://${lab.controlPlane.address}:6443`;
}

/** Makes all certificates of the cluster, unless the lab has them already. */
export async function makePki(lab: Instance): Promise<void> {
  const pki = pkiDir(lab);
  if (await succeeds("test", ["-e", join(pki, "complete")])) return;
  await rm(pki, { recursive: true, force: true });
  await mkdir(pki, { recursive: true, mode: 0o700 });
  await makeCertificateAuthority(pki);
  const node = (name: string, address: string) => ({
    file: name,
    user: `system:node:${name}`,
    group: "system:nodes",
    names: [`DNS:${name}`, `IP:${address}`],
  });
  const addresses = ["127.0.0.1", KUBERNETES_SERVICE_IP, lab.controlPlane.address];
  await Promise.all([
    makeServiceAccountKey(pki),
    makeCertificate(pki, {
      file: "apiserver",
      user: "kube-apiserver",
      names: [...SERVER_NAMES.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)],
    }),
    makeCertificate(pki, {
      file: "apiserver-kubelet",
      user: "kube-apiserver-kubelet-client",
      group: "system:masters",
    }),
    makeCertificate(pki, { file: "admin", user: "admin", group: "system:masters" }),
    makeCertificate(pki, { file: "controller-manager", user: "system:kube-controller-manager" }),
    makeCertificate(pki, { file: "scheduler", user: "system:kube-scheduler" }),
    makeCertificate(pki, { file: "proxy", user: "system:kube-proxy" }),
    ...lab.workers.map((worker) => makeCertificate(pki, node(worker.name, worker.address))),
  ]);
  await writeFile(join(pki, "complete"), "");
  await writeKubeconfig(adminKubeconfig(lab), {
    server: serverUrl(lab),
    pki,
    certificate: "admin",
    context: `istio-lab-${lab.name}`,
  });
}

/**
 * Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler, unless they run. Needs {@link
 * makePki}.
 */
export async function startControlPlane(lab: Instance, root: string, bin: string): Promise<void> {
  const machine = lab.controlPlane;
  if (await runningPid(machine)) return;
  const boot: Boot = { root, bin, init: "control-plane-init.sh", data: ["etcd"] };
  await prepare(machine, boot);
  const etc = join(machine.dir, "etc");
  await cp(pkiDir(lab), join(etc, "pki"), { recursive: true });
  await writeFile(join(etc, "env"), `ADDRESS=${machine.address}\nSERVICE_CIDR=${SERVICE_CIDR}\n`);
  for (const certificate of ["controller-manager", "scheduler"]) {
    await writeKubeconfig(join(etc, `${certificate}.kubeconfig`), {
      server: "https://127.0.0.1:6443",
      pki: pkiDir(lab),
      certificate,
      context: certificate,
    });
  }
  await start(machine, boot);
}

/** Resolves when the API server is ready for requests. */
export async function controlPlaneReady(lab: Instance): Promise<void> {
  const pki = pkiDir(lab);
  const [ca, cert, key] = await Promise.all(
    ["ca.crt", "admin.crt", "admin.key"].map((file) => readFile(join(pki, file))),
  );
  const url = `${serverUrl(lab)}/readyz`;
  const options = { ca, cert, key, agent: false, timeout: patience(2) * 1000 } as const;
  await whileDaemonsRun([lab.controlPlane], () =>
    until("the API server", () => answersOk(url, options), {
      timeoutMs: patience(90) * 1000,
      hint: () => endOfLog(lab.controlPlane.dir, "kube-apiserver"),
    }),
  );
}

/** Sends one request, without kubectl: a kubectl for each would slow down the API server's start. */
function answersOk(url: string, options: RequestOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once("timeout", () => request.destroy());
    request.once("error", () => resolve(false));
  });
}
