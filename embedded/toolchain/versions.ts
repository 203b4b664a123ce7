/** What the embedded lab is made of. Go modules and wheels are pinned in the files beside this one. */

export const KUBERNETES_VERSION = "v1.34.4";
export const ISTIO_VERSION = "1.31.0";
export const PULUMI_VERSION = "v3.230.0";
export const COREDNS_VERSION = "1.14.7";
export const ENVOY_VERSION = "1.39.3";

/** Local registry name of the lab's images; nothing is ever pulled from it. */
export const IMAGE_HUB = "lab";

const kubernetesVersion = "k8s.io/component-base/version";
const istioVersion = "istio.io/istio/pkg/version";
const [major = "", minor = ""] = KUBERNETES_VERSION.slice(1).split(".");

/** A Go module of this folder and the commands that are built from it. */
export interface GoModule {
  /** Folder beside this file with go.mod and go.sum. */
  readonly name: string;
  readonly packages: readonly string[];
  /** Megabytes of disk for its modules, Go's cache and the binaries; measured 10.4 GB for all four. */
  readonly room: number;
  /** Variables set by the linker, where the upstream build sets them too. */
  readonly variables: Readonly<Record<string, string>>;
}

export const GO_MODULES: readonly GoModule[] = [
  {
    name: "kubernetes",
    packages: [
      "kube-apiserver",
      "kube-controller-manager",
      "kube-scheduler",
      "kubelet",
      "kube-proxy",
      "kubectl",
    ].map((command) => `k8s.io/kubernetes/cmd/${command}`),
    room: 5000,
    variables: {
      [`${kubernetesVersion}.gitVersion`]: KUBERNETES_VERSION,
      [`${kubernetesVersion}.gitMajor`]: major,
      [`${kubernetesVersion}.gitMinor`]: minor,
    },
  },
  {
    name: "istio",
    packages: [
      "istio.io/istio/istioctl/cmd/istioctl",
      "istio.io/istio/pilot/cmd/pilot-agent",
      "istio.io/istio/pilot/cmd/pilot-discovery",
    ],
    room: 5000,
    variables: {
      [`${istioVersion}.buildVersion`]: ISTIO_VERSION,
      [`${istioVersion}.buildTag`]: ISTIO_VERSION,
      [`${istioVersion}.buildHub`]: IMAGE_HUB,
    },
  },
  { name: "coredns", packages: ["."], room: 1500, variables: {} },
  {
    name: "pulumi",
    packages: ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"],
    room: 2000,
    variables: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": PULUMI_VERSION },
  },
];

/** A root file system that debootstrap makes: Debian 12, minimal, with these packages. */
export interface RootSpec {
  readonly name: string;
  readonly packages: readonly string[];
}

export const ROOTS = {
  node: {
    name: "node",
    packages: [
      ...["containerd", "runc", "containernetworking-plugins", "iptables", "conntrack", "ipset", "iproute2"],
      ...["ethtool", "socat", "procps", "kmod", "etcd-server", "ca-certificates"],
    ],
  },
  loadBalancer: {
    name: "load-balancer",
    packages: ["systemd-sysv", "dbus", "openssh-server", "haproxy", "sudo", "iproute2", "curl"],
  },
  images: { name: "images", packages: ["busybox-static", "nginx-light", "iptables", "ca-certificates"] },
} as const satisfies Record<string, RootSpec>;
