/** Whether what is in the cluster already is this stack's. */

import type { KubernetesApi, KubernetesObject } from "../clients/kubernetes.ts";
import { OWNER_ANNOTATION } from "../mesh/owner.ts";

export interface OwnershipArgs {
  /** The stack, as it stands in the annotation istio-lab/owner. */
  readonly owner: string;
  /** Namespace of the application. */
  readonly namespace: string;
  /** Names of the application's versions. */
  readonly versions: readonly string[];
  /** False: the Istio that is there is used, and must be there. */
  readonly manage: boolean;
  /** True: the gateway serves https, from a Secret beside it. */
  readonly gatewayTls: boolean;
}

/** Objects of the application's names that somebody else made, one a line. */
export async function objectFaults(api: KubernetesApi, args: OwnershipArgs): Promise<string[]> {
  const objects = await Promise.all(
    objectsOf(args).map(async ({ path, ...rest }) => ({ ...rest, object: await api.metadata(path) })),
  );
  return objects.flatMap(({ kind, namespace, object }) => {
    const holder = object && holderOf(object, args.owner);
    return holder
      ? [
          `${kind} ${object.metadata.name} in namespace ${namespace} exists already and belongs to ${holder}: delete it, or set namespace to another one, or have it taken over (kubectl annotate --overwrite --namespace=${namespace} ${kind} ${object.metadata.name} ${OWNER_ANNOTATION}=${args.owner})`,
        ]
      : [];
  });
}

/** Istio of somebody else where ours goes; or none where somebody else's is wanted. */
export async function istioFaults(api: KubernetesApi, { owner, manage }: OwnershipArgs): Promise<string[]> {
  const [home, planes, gateway] = await Promise.all([
    api.metadata("/api/v1/namespaces/istio-system"),
    api.get<{ items: KubernetesObject[] }>("/apis/apps/v1/deployments?labelSelector=app%3Distiod"),
    manage ? undefined : api.metadata("/api/v1/namespaces/istio-system/services/istio-ingressgateway"),
  ]);
  const found = (planes?.items ?? []).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const holder = home?.metadata.annotations?.[OWNER_ANNOTATION];
  if (manage) return strangersIstio(holder, found, owner);
  return [...missingIstio(found, gateway !== undefined), ...claimedIstio(holder, owner)];
}

function strangersIstio(holder: string | undefined, found: readonly string[], owner: string): string[] {
  if (holder === owner || (holder === undefined && found.length === 0)) return [];
  return [
    holder === undefined
      ? `there is an Istio in this cluster that this stack did not install (${found.join(", ")}): set istio.manage to false to use it, or uninstall it first`
      : `the Istio in this cluster was installed by stack ${holder}; to use it from this stack set istio.manage to false`,
  ];
}

function missingIstio(found: readonly string[], hasGateway: boolean): string[] {
  const missing = [
    ...(found.includes("istio-system/istiod") ? [] : ["Deployment istio-system/istiod"]),
    ...(hasGateway ? [] : ["Service istio-system/istio-ingressgateway"]),
  ];
  if (missing.length === 0) return [];
  const others = found.length > 0 ? ` (control planes found: ${found.join(", ")})` : "";
  return [
    `istio.manage is false, and the cluster has no ${missing.join(" and no ")}${others}: set istio.manage to true to have Istio installed, or install it first`,
  ];
}

/** The claim goes with this update, and its deletion uninstalls what it finds to be the stack's own. */
function claimedIstio(holder: string | undefined, owner: string): string[] {
  if (holder !== owner) return [];
  return [
    `istio.manage is false, and the Istio in this cluster was installed by this stack, which would uninstall it now: let go of it first (kubectl annotate namespace istio-system ${OWNER_ANNOTATION}-), or set istio.manage to true`,
  ];
}

/** Who an object belongs to; undefined for this stack. */
function holderOf({ metadata }: KubernetesObject, owner: string): string | undefined {
  const holder = metadata.annotations?.[OWNER_ANNOTATION];
  if (holder !== undefined) return holder === owner ? undefined : `stack ${holder}`;
  // Who writes the status is a controller, and has not made it.
  const makers = (metadata.managedFields ?? []).filter(({ subresource }) => !subresource);
  const managers = [...new Set(makers.map(({ manager }) => manager ?? ""))];
  return `somebody else (made by ${managers.filter(Boolean).join(", ") || "nobody known"})`;
}

/** The objects of components/webApp.ts and components/trafficSplit.ts. */
function objectsOf({ namespace, versions, gatewayTls }: OwnershipArgs) {
  const object = (kind: string, group: string, plural: string, name: string, where = namespace) => ({
    kind,
    namespace: where,
    path: `/${group}/namespaces/${where}/${plural}/${name}`,
  });
  const routing = "apis/networking.istio.io/v1";
  return [
    object("ConfigMap", "api/v1", "configmaps", "nginx-static-files"),
    object("Service", "api/v1", "services", "nginx-svc"),
    ...versions.map((name) => object("Deployment", "apis/apps/v1", "deployments", `nginx-${name}`)),
    object("Gateway", routing, "gateways", "nginx-gateway"),
    object("VirtualService", routing, "virtualservices", "nginx"),
    object("DestinationRule", routing, "destinationrules", "nginx"),
    ...(gatewayTls
      ? [object("Secret", "api/v1", "secrets", `nginx-gateway-tls-${namespace}`, "istio-system")]
      : []),
  ];
}
