/** Starts a worker: container runtime, kube-proxy and kubelet, with their configuration. */
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { CLUSTER_DNS_IP, type Instance, POD_CIDR, type WorkerSpec } from "../host/instance.ts";
import { containerdConfig } from "./containerd.ts";
import { cloneStore } from "./containerStore.ts";
import { pkiDir, serverUrl } from "./controlPlane.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { type Boot, prepare, runningPid, start } from "./machine.ts";

/**
 * Starts containerd, kube-proxy and kubelet of a worker, unless they run. Needs the cluster's certificates.
 */
export async function startWorker(
  lab: Instance,
  worker: WorkerSpec,
  { root, bin, imageStore, pause }: { root: string; bin: string; imageStore: string; pause: string },
): Promise<void> {
  if (await runningPid(worker)) return;
  const boot: Boot = { root, bin, init: "worker-init.sh", data: ["containerd", "kubelet", "cni"] };
  await prepare(worker, boot);
  await cloneStore(imageStore, join(worker.dir, "data", "containerd"));
  await configure(lab, worker, pause);
  await start(worker, boot);
}

async function configure(lab: Instance, worker: WorkerSpec, pause: string): Promise<void> {
  const etc = join(worker.dir, "etc");
  const write = (name: string, content: string) => writeFile(join(etc, name), content);
  for (const file of ["ca.crt", `${worker.name}.crt`, `${worker.name}.key`]) {
    await cp(join(pkiDir(lab), file), join(etc, file));
  }
  await write("env", environment(lab, worker));
  await write("containerd.toml", containerdConfig(pause));
  await write("kubelet.yaml", stringify(kubeletConfig(worker)));
  await write("kube-proxy.yaml", stringify(kubeProxyConfig()));
  await write("cni.conflist", JSON.stringify(cniConfig(worker), null, 2));
  const server = serverUrl(lab);
  for (const [file, certificate] of [
    ["kubelet", worker.name],
    ["kube-proxy", "proxy"],
  ] as const) {
    await writeKubeconfig(join(etc, `${file}.kubeconfig`), {
      server,
      pki: pkiDir(lab),
      certificate,
      context: file,
    });
  }
}

function kubeletConfig(worker: WorkerSpec) {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      x509: { clientCAFile: "/etc/lab/ca.crt" },
      anonymous: { enabled: false },
      webhook: { enabled: true },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: `/etc/lab/${worker.name}.crt`,
    tlsPrivateKeyFile: `/etc/lab/${worker.name}.key`,
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${worker.cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: [CLUSTER_DNS_IP],
    clusterDomain: "cluster.local",
    resolvConf: "/etc/resolv.conf",
    // The disk is the host's. The kubelet must not evict pods when something else fills it.
    evictionHard: {
      "imagefs.available": "1%",
      "nodefs.available": "1%",
      "nodefs.inodesFree": "1%",
      "memory.available": "50Mi",
    },
    imageGCHighThresholdPercent: 100,
    maxParallelImagePulls: 4,
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
    syncFrequency: "10s",
    nodeStatusUpdateFrequency: "4s",
    makeIPTablesUtilChains: true,
    // Otherwise the kubelet would change settings of the host's kernel. worker-init.sh shows it the values
    // that it wants.
    protectKernelDefaults: true,
    oomScoreAdj: 0,
  };
}

/** What worker-init.sh reads. */
function environment({ controlPlane }: Instance, { name, address, podSubnet }: WorkerSpec): string {
  const variables = {
    NODE: name,
    ADDRESS: address,
    POD_SUBNET: podSubnet,
    POD_CIDR,
    API_SERVER: controlPlane.address,
  };
  return Object.entries(variables)
    .map(([variable, value]) => `${variable}=${value}\n`)
    .join("");
}

function kubeProxyConfig() {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    clientConnection: { kubeconfig: "/etc/lab/kube-proxy.kubeconfig" },
    clusterCIDR: POD_CIDR,
    // kube-proxy does not change conntrack's limits: they are the host's.
    conntrack: { maxPerCore: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    iptables: { minSyncPeriod: "100ms" },
    oomScoreAdj: 0,
  };
}

/**
 * Pods are routed, not bridged: behind a bridge, a Service reaches pods of the same node only with the module
 * br_netfilter.
 */
function cniConfig(worker: WorkerSpec) {
  const routes = [{ dst: "0.0.0.0/0" }];
  return {
    cniVersion: "0.4.0",
    name: "lab",
    plugins: [
      { type: "ptp", ipam: { type: "host-local", ranges: [[{ subnet: worker.podSubnet }]], routes } },
    ],
  };
}
