/**
 * Whether Istio can be installed, or used as it is: rights, versions, and whose the Istio in the cluster is.
 */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { nodePortOf, portFault, type ServicePort } from "../../mesh/gatewayPorts.ts";
import type { GatewayRef } from "../../mesh/model.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";
import type { CheckContext, Findings, Permission, Preflight } from "../../preflight/capability.ts";
import type { Fault } from "../../settings/faults.ts";
import { checkIstioctl, type IstioctlNeeds } from "./istioctl.ts";
import { checkLeftovers } from "./leftovers.ts";
import { checkMeshSettings } from "./meshSettings.ts";
import { minorOf, oldestKubernetes } from "./versions.ts";

/** What the checks of Istio need of the configuration. */
export interface Needs {
  /** Namespace of the application. */
  readonly namespace: string;
  readonly istio: IstioctlNeeds["istio"] & {
    readonly revision?: string | undefined;
    readonly gateway: GatewayRef;
    readonly values?: Readonly<Record<string, unknown>> | undefined;
  };
}

export const istioPreflight = {
  permissions,
  checks: [checkVersion, checkOwner, checkMeshSettings, checkLeftovers] as const,
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
    need(["get"], "services", istio.gateway.namespace),
    need(["list"], "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
    // It holds the claim of the stack that installed Istio.
    ...(istio.manage ? [] : [{ ...need(["get"], "namespaces", NAMESPACE), name: NAMESPACE }]),
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
  const service = api.get<Service>(`/api/v1/namespaces/${gateway.namespace}/services/${gateway.service}`);
  const [home, planes, missing, found] = await Promise.all([
    api.metadata(`/api/v1/namespaces/${NAMESPACE}`),
    controlPlanes(api),
    manage ? [] : missingIstio(api, config.istio, service),
    service,
  ]);
  const names = planes.map(nameOf);
  const installer = home?.metadata.annotations?.[OWNER_ANNOTATION];
  const messages = manage
    ? foreignIstio(installer, names, owner)
    : [
        ...missing,
        ...(planes.length === 0 && missing.length === 0 ? [NO_ISTIOD] : []),
        ...ownIstio(installer, owner),
      ];
  const everywhere = found?.spec?.externalTrafficPolicy !== "Local";
  return {
    faults: messages.map((message): Fault => ({ key: "istio.manage", message })),
    warnings: manage || planes.length === 0 || planes.some(isAvailable) ? [] : [unavailable(names)],
    facts: { gatewayPort: everywhere ? nodePortOf(found?.spec?.ports, "http2") : undefined },
  };
}

interface Istiod extends KubernetesObject {
  readonly status?: { readonly availableReplicas?: number };
}

async function controlPlanes(api: KubernetesApi): Promise<Istiod[]> {
  return (await api.list<Istiod>("/apis/apps/v1/deployments", { labelSelector: "app=istiod" })).items;
}

const nameOf = ({ metadata }: KubernetesObject) => `${metadata.namespace}/${metadata.name}`;

const isAvailable = ({ status }: Istiod) => (status?.availableReplicas ?? 0) > 0;

/** Its webhooks and gateways may have been left by an Istio that is gone. */
const NO_ISTIOD =
  "istio.manage is false, and the cluster has no istiod (kubectl get deployments --all-namespaces " +
  "--selector=app=istiod): set istio.manage to true to have Istio installed, or install it first";

const unavailable = (names: readonly string[]) =>
  `no istiod is available (${names.join(", ")}): the update waits 300 s for one; look with ` +
  "kubectl get pods --all-namespaces --selector=app=istiod";

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

/** What an Istio that is there already has to have: a webhook that injects its sidecars, and a gateway. */
async function missingIstio(
  api: KubernetesApi,
  { revision, gateway }: Needs["istio"],
  looked: Promise<Service | undefined>,
): Promise<string[]> {
  const { namespace, service } = gateway;
  const [revisions, found] = await Promise.all([revisionsOf(api), looked]);
  const install = "set istio.manage to true to have Istio installed, or install it first";
  const given = "istio.manage is false, and the cluster has no";
  if (revisions.length === 0) return [`${given} Istio that injects sidecars: ${install}`];
  return [
    ...(revisions.includes(revision ?? "default")
      ? []
      : [
          `${given} Istio of ${revision === undefined ? "the default revision" : `revision ${revision}`}: ` +
            `set istio.revision to one that it has (${revisions.join(", ")})`,
        ]),
    ...(found
      ? unusablePorts(found, gateway)
      : [
          `${given} Service ${namespace}/${service}: set istio.gateway to the namespace, service and ` +
            `selector of a gateway that it has${listed(await gatewaysOf(api))}, or install one first`,
        ]),
  ];
}

interface Service extends KubernetesObject {
  readonly spec?: { readonly ports?: readonly ServicePort[]; readonly externalTrafficPolicy?: string };
}

/** A gateway without NodePorts, such as one of type ClusterIP, cannot be reached from the load balancer. */
function unusablePorts({ spec }: Service, { namespace, service }: GatewayRef): string[] {
  const faults = (["http2", "status-port"] as const).map((which) =>
    portFault(spec?.ports, which, `${namespace}/${service}`),
  );
  return faults.flatMap((fault) => (fault ? [`istio.manage is false, and ${fault}`] : []));
}

/** Revisions and tags that inject sidecars. */
async function revisionsOf(api: KubernetesApi): Promise<string[]> {
  const { items } = await api.listMetadata(
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    { labelSelector: "app=sidecar-injector" },
  );
  const labels = items.flatMap(({ metadata }) => [
    metadata.labels?.["istio.io/tag"] ?? metadata.labels?.["istio.io/rev"] ?? "default",
  ]);
  return [...new Set(labels)].sort();
}

/** Services that are labelled as Istio's charts label those of gateways; only a hint. */
async function gatewaysOf(api: KubernetesApi): Promise<string[]> {
  const services = await api
    .listMetadata("/api/v1/services", { labelSelector: "istio" })
    .catch(() => undefined);
  return (services?.items ?? [])
    .filter(({ metadata }) => metadata.labels?.istio !== "pilot")
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

const listed = (names: readonly string[]) => (names.length > 0 ? ` (${names.join(", ")})` : "");

/** The update would delete the claim on Istio, and that deletion uninstalls it. */
function ownIstio(installer: string | undefined, owner: string): string[] {
  if (installer !== owner) return [];
  return [
    "istio.manage is false, and this stack installed the Istio in this cluster, and would uninstall it " +
      `now: give up the claim first (kubectl annotate namespace ${NAMESPACE} ${OWNER_ANNOTATION}-), or ` +
      "set istio.manage to true",
  ];
}
