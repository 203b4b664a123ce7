/**
 * Whether Istio can be installed, or used as it is: rights, versions, and whose the Istio in the cluster is.
 */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";
import type { CheckContext, Findings, Permission, Preflight } from "../../preflight/capability.ts";
import type { Fault } from "../../settings/faults.ts";
import { checkIstioctl, type Needs } from "./istioctl.ts";
import { minorOf, oldestKubernetes } from "./versions.ts";

export type { Needs };

export const istioPreflight = {
  permissions,
  checks: [checkVersion, checkOwner],
  machineChecks: [checkIstioctl],
} satisfies Preflight<Needs>;

const NAMESPACE = "istio-system";

/** `istioctl install` also grants rights, which needs them all in turn. */
function permissions({ istio }: Needs): Permission[] {
  const own = ["get", "create", "patch", "delete"];
  const need = (verbs: readonly string[], resources: string, namespace = ""): Permission => {
    const [resource = "", ...group] = resources.split(".");
    return { verbs, resource, group: group.join("."), namespace };
  };
  return [
    need(["list"], "deployments.apps"),
    need(["get"], "services", NAMESPACE),
    need(["list"], "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
    ...(istio.manage ? CLUSTER_WIDE.map((resource) => need(own, resource)) : []),
    ...(istio.manage ? IN_NAMESPACE.map((resource) => need(own, resource, NAMESPACE)) : []),
  ];
}

/** What `istioctl install` makes. */
const CLUSTER_WIDE = [
  "namespaces",
  "customresourcedefinitions.apiextensions.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  "validatingwebhookconfigurations.admissionregistration.k8s.io",
];
const IN_NAMESPACE = [
  "deployments.apps",
  "services",
  "serviceaccounts",
  "configmaps",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
  "poddisruptionbudgets.policy",
  "horizontalpodautoscalers.autoscaling",
];

async function checkVersion({ api, config }: CheckContext<Needs>): Promise<Findings> {
  const { version } = config.istio;
  const { gitVersion = "" } = (await api.get<{ gitVersion?: string }>("/version")) ?? {};
  const oldest = oldestKubernetes(version);
  const minor = Number(/^v?1\.(\d+)/.exec(gitVersion)?.[1] ?? Number.NaN);
  if (oldest === undefined || !(minor < oldest)) return { faults: [] };
  const message = `istio.version is ${version}, and Istio ${minorOf(version)} supports Kubernetes 1.${oldest} and later; ${api.where} is ${gitVersion}: upgrade the cluster, or set istio.version to one of https://istio.io/latest/docs/releases/supported-releases/ that supports it`;
  return { faults: [{ key: "istio.version", message }] };
}

/** An Istio that this stack did not install where it would install one; none where it would use one. */
async function checkOwner({ api, config, owner }: CheckContext<Needs>): Promise<Findings> {
  const { manage } = config.istio;
  const [home, planes, hasGateway] = await Promise.all([
    api.metadata(`/api/v1/namespaces/${NAMESPACE}`),
    controlPlanes(api),
    manage || api.metadata(`/api/v1/namespaces/${NAMESPACE}/services/istio-ingressgateway`).then(Boolean),
  ]);
  const installer = home?.metadata.annotations?.[OWNER_ANNOTATION];
  const messages = manage
    ? foreignIstio(installer, planes, owner)
    : [...missingIstio(planes, hasGateway), ...ownIstio(installer, owner)];
  return { faults: messages.map((message): Fault => ({ key: "istio.manage", message })) };
}

/** `NAMESPACE/NAME` of each istiod. */
async function controlPlanes(api: KubernetesApi): Promise<string[]> {
  const { items } = await api.listMetadata("/apis/apps/v1/deployments", { labelSelector: "app=istiod" });
  return items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

function foreignIstio(installer: string | undefined, planes: readonly string[], owner: string): string[] {
  if (installer === owner || (installer === undefined && planes.length === 0)) return [];
  return [
    installer === undefined
      ? `there is an Istio in this cluster that this stack did not install (${planes.join(", ")}): set istio.manage to false to use it, or uninstall it first`
      : `the Istio in this cluster was installed by stack ${installer}; to use it from this stack set istio.manage to false`,
  ];
}

function missingIstio(planes: readonly string[], hasGateway: boolean): string[] {
  const missing = [
    ...(planes.includes(`${NAMESPACE}/istiod`) ? [] : [`Deployment ${NAMESPACE}/istiod`]),
    ...(hasGateway ? [] : [`Service ${NAMESPACE}/istio-ingressgateway`]),
  ];
  if (missing.length === 0) return [];
  const others = planes.length > 0 ? ` (control planes found: ${planes.join(", ")})` : "";
  return [
    `istio.manage is false, and the cluster has no ${missing.join(" and no ")}${others}: set istio.manage to true to have Istio installed, or install it first`,
  ];
}

/** The update would delete the claim on Istio, and that deletion uninstalls it. */
function ownIstio(installer: string | undefined, owner: string): string[] {
  if (installer !== owner) return [];
  return [
    `istio.manage is false, and this stack installed the Istio in this cluster, and would uninstall it now: give up the claim first (kubectl annotate namespace ${NAMESPACE} ${OWNER_ANNOTATION}-), or set istio.manage to true`,
  ];
}
