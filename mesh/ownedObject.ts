/** What the program owns in the cluster: one declaration for checks, permissions, removal and components. */
import { ownedBy } from "./owner.ts";

/** A kind of Kubernetes objects. */
export interface Kind {
  /** E.g. `VirtualService`. */
  readonly kind: string;
  /** API group; empty is the core group. */
  readonly group: string;
  /** API version within the group, e.g. `v1`. */
  readonly version: string;
  /** Resource name in paths and permissions, e.g. `virtualservices`. */
  readonly plural: string;
}

/** A Kubernetes object that the stack makes under a fixed name. */
export interface OwnedObject extends Kind {
  /** Empty: the object belongs to no namespace. */
  readonly namespace: string;
  readonly name: string;
}

const kind = (name: string, group: string, version: string, plural: string): Kind => ({
  kind: name,
  group,
  version,
  plural,
});

const istio = "networking.istio.io";
const rbac = "rbac.authorization.k8s.io";

/**
 * Every kind of object that the program can own. A destroy removes orphans of all these kinds: objects with
 * the owner's annotation that no state knows.
 */
export const OWNED_KINDS = {
  ConfigMap: kind("ConfigMap", "", "v1", "configmaps"),
  Secret: kind("Secret", "", "v1", "secrets"),
  Service: kind("Service", "", "v1", "services"),
  Deployment: kind("Deployment", "apps", "v1", "deployments"),
  Namespace: kind("Namespace", "", "v1", "namespaces"),
  ServiceAccount: kind("ServiceAccount", "", "v1", "serviceaccounts"),
  PersistentVolumeClaim: kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
  Role: kind("Role", rbac, "v1", "roles"),
  RoleBinding: kind("RoleBinding", rbac, "v1", "rolebindings"),
  EnvoyFilter: kind("EnvoyFilter", istio, "v1alpha3", "envoyfilters"),
  ServiceEntry: kind("ServiceEntry", istio, "v1", "serviceentries"),
  Telemetry: kind("Telemetry", "telemetry.istio.io", "v1", "telemetries"),
  Gateway: kind("Gateway", istio, "v1", "gateways"),
  VirtualService: kind("VirtualService", istio, "v1", "virtualservices"),
  DestinationRule: kind("DestinationRule", istio, "v1", "destinationrules"),
} as const satisfies Record<string, Kind>;

/** Declares an object of the stack. */
export function ownedObject(of: keyof typeof OWNED_KINDS, namespace: string, name: string): OwnedObject {
  return { ...OWNED_KINDS[of], namespace, name };
}

/** The kind as kubectl and permissions name it, e.g. `virtualservices.networking.istio.io`. */
export const resourceOf = ({ plural, group }: Kind) => (group ? `${plural}.${group}` : plural);

/** E.g. `networking.istio.io/v1`, or `v1` for the core group. */
export const apiVersionOf = ({ group, version }: Kind) => (group ? `${group}/${version}` : version);

/** The object's path at an API server. */
export function pathOf(object: OwnedObject): string {
  const root = object.group ? "apis" : "api";
  const scope = object.namespace ? `namespaces/${object.namespace}/` : "";
  return `/${root}/${apiVersionOf(object)}/${scope}${object.plural}/${object.name}`;
}

/** What the metadata of a stack's objects have in common. */
export interface Marks {
  /** The stack: `ORGANIZATION/PROJECT/STACK`. */
  readonly owner: string;
  /** @default none */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** The object's metadata in a component: its names, the annotation of its owner, further ones, and labels. */
export function metadataOf(
  { namespace, name }: OwnedObject,
  { owner, labels = {} }: Marks,
  annotations: Readonly<Record<string, string>> = {},
) {
  return {
    name,
    ...(namespace ? { namespace } : {}),
    annotations: { ...ownedBy(owner), ...annotations },
    ...(Object.keys(labels).length > 0 ? { labels: { ...labels } } : {}),
  };
}

/**
 * For an object on which no other depends. Foreground deletion, the default, waits for the garbage collector,
 * which finds new kinds only every 30 s.
 */
export const DELETED_IN_BACKGROUND = { "pulumi.com/deletionPropagationPolicy": "background" };

/**
 * For a Service or a claim beside a Deployment. The rollout proves the pods. A Service's endpoints would take
 * 10 s more; a claim can wait for its first pod.
 */
export const NOT_AWAITED = { "pulumi.com/skipAwait": "true" };

/**
 * How long a destroy waits for the end of an object without pods. Only a finalizer holds one for longer;
 * Pulumi's provider then names the object. The provider's default is ten minutes.
 */
export const DELETION_LIMIT = { delete: "30s" };

/**
 * The same for an object whose pods end first, within their 30 s of grace. A node that does not answer keeps
 * its pods for as long as the Node object is there.
 */
export const POD_DELETION_LIMIT = { delete: "3m" };
