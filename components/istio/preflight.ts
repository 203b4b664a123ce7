/**
 * Whether Istio can be installed, or used as it is: rights, versions, and whose the Istio in the cluster is.
 */
import { type ApiError, type KubernetesApi, unlessForbidden } from "../../clients/kubernetes.ts";
import { namespaceLabels } from "../../clients/namespaceLabels.ts";
import { nodePortOf } from "../../mesh/gatewayPorts.ts";
import { type GatewayRef, ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";
import type { Labels } from "../../mesh/selector.ts";
import type { CheckContext, Findings, Permission, Preflight } from "../../preflight/capability.ts";
import type { Fault } from "../../settings/faults.ts";
import { API_OF_KINDS, existingIstio, type GatewayService, GIVEN, gatewaysOf } from "./existing.ts";
import { type ControlPlane, controlPlanes, injectorsOf, isAvailable, nameOf } from "./installed.ts";
import { checkIstioctl, type IstioctlNeeds } from "./istioctl.ts";
import { checkLeftovers } from "./leftovers.ts";
import { checkMeshSettings } from "./meshSettings.ts";
import { checkNodePorts } from "./nodePorts.ts";
import { checkIstioPods, type IstioPodNeeds } from "./podCheck.ts";
import { minorOf, oldestKubernetes } from "./versions.ts";

/** What the checks of Istio need of the configuration. */
export interface Needs {
  /** Namespace of the application. */
  readonly namespace: string;
  readonly labels?: Labels | undefined;
  readonly istio: IstioctlNeeds["istio"] &
    IstioPodNeeds["istio"] & {
      readonly revision?: string | undefined;
      readonly gateway: GatewayRef;
      readonly values?: Readonly<Record<string, unknown>> | undefined;
    };
}

export const istioPreflight = {
  permissions,
  checks: [
    checkVersion,
    checkOwner,
    checkMeshSettings,
    checkLeftovers,
    checkIstioPods,
    checkNodePorts,
  ] as const,
  machineChecks: [checkIstioctl],
} satisfies Preflight<Needs>;

/** `istioctl install` also grants rights, which needs them all in turn. */
function permissions({ istio }: Needs): Permission[] {
  const own = ["get", "create", "patch", "delete"];
  const need = (verbs: readonly string[], resources: string, namespace = ""): Permission => {
    const [resource = "", ...group] = resources.split(".");
    return { verbs, resource, group: group.join("."), namespace };
  };
  return [
    need(["list"], "deployments.apps"),
    need(["get"], "services", istio.gateway.namespace),
    need(["list"], "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
    // It holds the claim of the stack that installed Istio.
    ...(istio.manage ? [] : [{ ...need(["get"], "namespaces", ISTIO_NAMESPACE), name: ISTIO_NAMESPACE }]),
    ...(istio.manage ? CLUSTER_WIDE.map((resource) => need(own, resource)) : []),
    ...(istio.manage ? IN_NAMESPACE.map((resource) => need(own, resource, ISTIO_NAMESPACE)) : []),
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
  const message =
    `istio.version is ${version}, and Istio ${minorOf(version)} supports Kubernetes 1.${oldest} and ` +
    `later; ${api.where} is ${gitVersion}: upgrade the cluster, or set istio.version to one of ` +
    "https://istio.io/latest/docs/releases/supported-releases/ that supports it";
  return { faults: [{ key: "istio.version", message }] };
}

export interface IstioFacts {
  /**
   * The gateway's NodePort for http, where each node answers on it; undefined where there is no gateway yet,
   * or where only the nodes of its pods answer (externalTrafficPolicy: Local).
   */
  readonly gatewayPort: number | undefined;
}

/** An Istio that this stack did not install where it would install one; none where it would use one. */
async function checkOwner({ api, config, owner }: CheckContext<Needs>): Promise<Findings<IstioFacts>> {
  const { manage, gateway } = config.istio;
  const path = `/api/v1/namespaces/${gateway.namespace}/services/${gateway.service}`;
  const [home, planes, injectors, service, servesKinds, labels] = await Promise.all([
    api.metadata(`/api/v1/namespaces/${ISTIO_NAMESPACE}`),
    controlPlanes(api),
    manage ? [] : injectorsOf(api),
    api.get<GatewayService>(path),
    manage || serves(api, API_OF_KINDS),
    namespaceLabels(api, config.namespace),
  ]);
  const candidates = manage || service ? [] : await gatewaysOf(api);
  const installer = home?.metadata.annotations?.[OWNER_ANNOTATION];
  const existing = {
    ...{ planes, injectors, service, candidates, servesKinds },
    labels: { namespace: labels, pod: { ...config.labels, app: "nginx" } },
  };
  const { faults, warnings = [] } = manage
    ? { faults: foreignIstio(installer, planes.map(nameOf), owner), warnings: downIstio(planes) }
    : existingIstio(existing, config.istio);
  const messages = [...faults, ...(manage ? [] : ownIstio(installer, owner))];
  const everywhere = service?.spec?.externalTrafficPolicy !== "Local";
  return {
    faults: messages.map((message): Fault => ({ key: "istio.manage", message })),
    warnings,
    facts: { gatewayPort: everywhere ? nodePortOf(service?.spec?.ports, "http2") : undefined },
  };
}

/** True also where the user may not look. */
async function serves(api: KubernetesApi, path: string): Promise<boolean> {
  const forbidden: ApiError[] = [];
  const found = await unlessForbidden(api.get(path), forbidden);
  return found !== undefined || forbidden.length > 0;
}

function foreignIstio(installer: string | undefined, planes: readonly string[], owner: string): string[] {
  if (installer === owner || (installer === undefined && planes.length === 0)) return [];
  return [
    installer === undefined
      ? `there is an Istio in this cluster that this stack did not install (${planes.join(", ")}): set ` +
        "istio.manage to false to use it, or uninstall it first"
      : `the Istio in this cluster was installed by stack ${installer}; to use it from this stack set ` +
        "istio.manage to false",
  ];
}

/** Of the stack's own Istio: an update that installs nothing does not repair it. */
const downIstio = (planes: readonly ControlPlane[]) =>
  planes.length === 0 || planes.some(isAvailable)
    ? []
    : [
        `no istiod is available (${planes.map(nameOf).join(", ")}): no pod with a sidecar starts until one ` +
          "is; look with kubectl get deployments,pods --all-namespaces --selector=app=istiod",
      ];

/** The update would delete the claim on Istio, and that deletion uninstalls it. */
function ownIstio(installer: string | undefined, owner: string): string[] {
  if (installer !== owner) return [];
  return [
    `${GIVEN} this stack installed the Istio in this cluster, and would uninstall it ` +
      "now: give up the claim first " +
      `(kubectl annotate namespace ${ISTIO_NAMESPACE} ${OWNER_ANNOTATION}-), or set istio.manage to true`,
  ];
}
