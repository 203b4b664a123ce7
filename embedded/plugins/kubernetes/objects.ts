/** What the provider knows about Kubernetes objects without asking a server. */
import { containsSecret, equal, isObject, type Properties, reveal, Secret, type Value } from "../values.ts";
import type { KubernetesObject } from "./api.ts";

/** The marks that Pulumi's user sets on an object; see the official provider's documentation. */
export const ANNOTATIONS = {
  skipAwait: "pulumi.com/skipAwait",
  timeoutSeconds: "pulumi.com/timeoutSeconds",
  autonamed: "pulumi.com/autonamed",
  patchForce: "pulumi.com/patchForce",
  patchFieldManager: "pulumi.com/patchFieldManager",
  deletionPropagation: "pulumi.com/deletionPropagationPolicy",
} as const;

export function annotation(object: Properties, name: string): string | undefined {
  const metadata = object.metadata;
  const annotations = isObject(metadata) ? metadata.annotations : undefined;
  const value = isObject(annotations) ? annotations[name] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** Inputs as an object for the server: secrets revealed, and the SDK's names for CRD extensions put right. */
export function toObject(inputs: Properties): KubernetesObject {
  const object = rename(reveal(inputs), DASHED) as KubernetesObject;
  return { ...object, metadata: object.metadata ?? {} };
}

/** A live object as outputs; whoever manages which field is no news to a program. */
export function toOutputs(live: KubernetesObject): Properties {
  const { managedFields: _, ...metadata } = live.metadata;
  return rename({ ...live, metadata }, UNDERSCORED) as Properties;
}

/** The id that the official provider gives: `namespace/name`, or the name alone. */
export function idOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return namespace ? `${namespace}/${name}` : `${name}`;
}

export function parseId(id: string): { namespace: string | undefined; name: string } {
  const slash = id.indexOf("/");
  return slash === -1
    ? { namespace: undefined, name: id }
    : { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
}

/** `kubernetes:core/v1:Service` → v1, Service; `kubernetes:apps/v1:DeploymentPatch` → apps/v1, DeploymentPatch. */
export function kindOfType(type: string): { apiVersion: string; kind: string } {
  const [, module = "", kind = ""] = type.split(":");
  return { apiVersion: module.replace(/^core\//, ""), kind };
}

/** A resource that owns some fields of an object that somebody else made. */
export function isPatch(type: string, kind: unknown): boolean {
  const name = kindOfType(type).kind;
  return name.endsWith("Patch") && name !== kind;
}

/** Kinds of Kubernetes itself that live in no namespace. */
const CLUSTER_SCOPED = new Set([
  "APIService",
  "CSIDriver",
  "CSINode",
  "CertificateSigningRequest",
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "IngressClass",
  "MutatingWebhookConfiguration",
  "Namespace",
  "Node",
  "PersistentVolume",
  "PriorityClass",
  "RuntimeClass",
  "StorageClass",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "ValidatingWebhookConfiguration",
  "VolumeAttachment",
]);

export function isKnownClusterScoped(kind: unknown): boolean {
  return CLUSTER_SCOPED.has(String(kind));
}

/** The property paths whose change needs a new object, because the server would refuse it or nothing would notice. */
export function immutablePaths(
  { apiVersion, kind, immutable }: Properties,
  { configMapMutable, secretMutable }: { configMapMutable: boolean; secretMutable: boolean },
): string[] {
  const identity = ["apiVersion", "kind", "metadata.name", "metadata.namespace"];
  const frozen = immutable === true;
  if (apiVersion === "v1" && kind === "ConfigMap")
    return !configMapMutable || frozen ? [...identity, "data", "binaryData"] : identity;
  if (apiVersion === "v1" && kind === "Secret")
    return !secretMutable || frozen ? [...identity, "type", "data", "stringData"] : [...identity, "type"];
  return [...identity, ...(IMMUTABLE[`${apiVersion}/${kind}`] ?? [])];
}

const IMMUTABLE: Record<string, string[]> = {
  "apps/v1/DaemonSet": ["spec.selector"],
  "apps/v1/Deployment": ["spec.selector"],
  "apps/v1/StatefulSet": [
    "spec.podManagementPolicy",
    "spec.revisionHistoryLimit",
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
  ],
  "batch/v1/Job": ["spec.completions", "spec.parallelism", "spec.selector", "spec.template"],
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": ["roleRef"],
  "rbac.authorization.k8s.io/v1/RoleBinding": ["roleRef"],
  "storage.k8s.io/v1/StorageClass": ["parameters", "provisioner"],
  "v1/PersistentVolumeClaim": [
    "spec.accessModes",
    "spec.selector",
    "spec.storageClassName",
    "spec.volumeName",
  ],
  "v1/Pod": ["spec"],
  "v1/ResourceQuota": ["spec.scopes"],
  "v1/Service": ["spec.clusterIP"],
};

/** What the server fills in, and what would be refused or cause a difference for ever if it came from a program. */
const READ_ONLY_METADATA = [
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "generation",
  "managedFields",
  "resourceVersion",
  "selfLink",
  "uid",
];

/** A Secret's plain `stringData` becomes the `data` that the server would make of it; read-only fields go. */
export function normalize(inputs: Properties): Properties {
  const { stringData, ...rest } = inputs;
  const normal: Properties = { ...rest };
  if (isObject(inputs.metadata)) {
    const metadata = { ...inputs.metadata };
    for (const field of READ_ONLY_METADATA) delete metadata[field];
    normal.metadata = metadata;
  }
  if (stringData === undefined) return normal;
  const plain = reveal(stringData);
  if (
    inputs.kind !== "Secret" ||
    !isObject(plain) ||
    Object.values(plain).some((text) => typeof text !== "string")
  )
    return { ...normal, stringData };
  const encoded = Object.fromEntries(
    Object.entries(plain).map(([key, text]) => [key, Buffer.from(String(text)).toString("base64")]),
  );
  const data = reveal(inputs.data ?? {});
  return { ...normal, data: { ...(isObject(data) ? data : {}), ...encoded } };
}

/** Marks in `outputs` what is secret in `inputs`, and all that a Secret holds. */
export function markSecrets(outputs: Properties, inputs: Properties): Properties {
  const marked: Properties = { ...outputs };
  if (outputs.kind === "Secret") {
    for (const key of ["data", "stringData"])
      if (marked[key] !== undefined) marked[key] = new Secret(reveal(marked[key]));
    return marked;
  }
  for (const [key, input] of Object.entries(inputs)) {
    const output = marked[key];
    if (output === undefined || output instanceof Secret) continue;
    if (isObject(output) && isObject(input)) marked[key] = markSecrets(output, input);
    else if (containsSecret(input)) marked[key] = new Secret(output);
  }
  return marked;
}

/**
 * The inputs as they would have to be for the live object: where it still is as recorded, what the program said;
 * where somebody changed it, what is there now. Fields that the program does not set are left out.
 * @param recorded the object as it was after the last update
 */
export function drifted(
  input: Value,
  recorded: Value | undefined,
  live: Value | undefined,
): Value | undefined {
  if (equal(recorded, live)) return input;
  if (live === undefined) return undefined;
  if (isObject(input) && isObject(live)) {
    const before = isObject(recorded) ? recorded : {};
    const entries = Object.entries(input)
      .map(([key, value]) => [key, drifted(value, before[key], live[key])] as const)
      .filter(([, value]) => value !== undefined);
    return Object.fromEntries(entries) as Properties;
  }
  if (Array.isArray(input) && Array.isArray(live)) {
    const before = Array.isArray(recorded) ? recorded : [];
    return live.map((element, index) => {
      const ours = counterpart(element, index, input);
      return ours === undefined
        ? element
        : (drifted(ours, counterpart(element, index, before), element) ?? element);
    });
  }
  return live;
}

/** Elements with a name are the same by name (containers, ports, routes), others by place. */
function counterpart(element: Value, index: number, list: Value[]): Value | undefined {
  const name = isObject(element) ? element.name : undefined;
  if (name === undefined) return list[index];
  return list.find((other) => isObject(other) && other.name === name) ?? undefined;
}

/** The SDKs cannot have a dash in a name. */
const DASHED: Record<string, string> = Object.fromEntries(
  [
    "embedded_resource",
    "int_or_string",
    "list_map_keys",
    "list_type",
    "map_type",
    "preserve_unknown_fields",
    "validations",
  ].map((name) => [`x_kubernetes_${name}`, `x-kubernetes-${name.replaceAll("_", "-")}`]),
);
const UNDERSCORED = Object.fromEntries(Object.entries(DASHED).map(([from, to]) => [to, from]));

function rename(value: Value, names: Record<string, string>): Value {
  if (Array.isArray(value)) return value.map((element) => rename(element, names));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [names[key] ?? key, rename(member, names)]),
  );
}
