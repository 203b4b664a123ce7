/** The Go modules of this folder, with the commands that are built from each and the versions in them. */
import { IMAGE_HUB, ISTIO_VERSION, KUBERNETES_VERSION, PULUMI_VERSION } from "../versions/versions.ts";

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
  /** Variables that the linker sets, as in the upstream build. */
  readonly variables: Readonly<Record<string, string>>;
}

export const KUBERNETES: GoModule = {
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
};

export const ISTIO: GoModule = {
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
};

export const COREDNS: GoModule = { name: "coredns", packages: ["."], room: 1500, variables: {} };

/**
 * Has Debian's Prometheus read the configuration of an official one. It needs no module but Go's own library.
 */
export const PROMETHEUS: GoModule = { name: "prometheus", packages: ["."], room: 100, variables: {} };

export const PULUMI: GoModule = {
  name: "pulumi",
  packages: ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"],
  room: 2000,
  variables: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": PULUMI_VERSION },
};
