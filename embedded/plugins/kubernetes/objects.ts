/** What the provider knows about Kubernetes objects without a server. */
import { isObject, type Properties, reveal, unsupported } from "../values.ts";
import type { KubernetesObject } from "./cluster.ts";

/** Annotations by which a program steers the provider; see the official provider's documentation. */
export const ANNOTATIONS = {
  skipAwait: "pulumi.com/skipAwait",
  patchFieldManager: "pulumi.com/patchFieldManager",
  deletionPropagation: "pulumi.com/deletionPropagationPolicy",
} as const;

export function annotation(object: Properties, name: string): string | undefined {
  const metadata = object.metadata;
  const annotations = isObject(metadata) ? metadata.annotations : undefined;
  const value = isObject(annotations) ? annotations[name] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** Inputs as an object for the server, with secrets revealed. */
export function toObject(inputs: Properties): KubernetesObject {
  const object = reveal(inputs) as KubernetesObject;
  return { ...object, metadata: object.metadata ?? {} };
}

/** A live object as outputs, without managedFields. */
export function toOutputs(live: KubernetesObject): Properties {
  const { managedFields: _, ...metadata } = live.metadata;
  return { ...live, metadata };
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

/** Whether the resource owns only fields of an object, e.g. `kubernetes:core/v1:NamespacePatch`. */
export function isPatch(type: string, kind: unknown): boolean {
  const name = type.split(":")[2] ?? "";
  return name.endsWith("Patch") && name !== kind;
}

/** For these kinds the official provider has rules of their own for the wait or the write. */
const UNSUPPORTED_KINDS = new Set([
  "apiextensions.k8s.io/v1/CustomResourceDefinition",
  "apps/v1/DaemonSet",
  "apps/v1/StatefulSet",
  "batch/v1/Job",
  "networking.k8s.io/v1/Ingress",
  "v1/PersistentVolume",
  "v1/Pod",
  "v1/ReplicationController",
  "v1/ResourceQuota",
]);

/** The official provider waits for these too; the program lets it skip the wait. */
const NEVER_AWAITED = new Set(["v1/PersistentVolumeClaim", "v1/Service"]);
/** The official provider can skip the wait for these, and for their deletion; the program does not. */
const ALWAYS_AWAITED = new Set(["apps/v1/Deployment", "v1/Namespace"]);

const UNSUPPORTED_ANNOTATIONS = ["patchForce", "replaceUnready", "timeoutSeconds", "waitFor"].map(
  (name) => `pulumi.com/${name}`,
);

/** The unsupported part of a resource, in words for the user; undefined when all is supported. */
export function unsupportedPart(type: string, inputs: Properties): string | undefined {
  const { apiVersion, kind } = inputs;
  const name = `${String(apiVersion)}/${String(kind)}`;
  if (/^kubernetes:(helm\.sh|yaml|kustomize)[/:]/.test(type)) return unsupported(`resource type ${type}`);
  if (typeof apiVersion !== "string" || typeof kind !== "string") return undefined;
  if (UNSUPPORTED_KINDS.has(name) || (apiVersion === "v1" && kind.endsWith("List")))
    return unsupported(`kind ${name}`);
  if (kind === "Secret" && inputs.type === "kubernetes.io/service-account-token")
    return unsupported("a Secret of type kubernetes.io/service-account-token");
  if (inputs.immutable === true) return unsupported(`an immutable ${kind}`);
  const skipped = annotation(inputs, ANNOTATIONS.skipAwait) === "true";
  if (NEVER_AWAITED.has(name) && !skipped)
    return unsupported(`a ${kind} that is waited for, without annotation ${ANNOTATIONS.skipAwait}`);
  if (ALWAYS_AWAITED.has(name) && skipped)
    return unsupported(`a ${kind} with annotation ${ANNOTATIONS.skipAwait}`);
  for (const mark of UNSUPPORTED_ANNOTATIONS)
    if (annotation(inputs, mark) !== undefined) return unsupported(`annotation ${mark}`);
  const metadata = reveal(inputs.metadata ?? {});
  if (!isObject(metadata)) return undefined;
  if (metadata.generateName !== undefined) return unsupported("metadata.generateName");
  return metadata.name === undefined ? unsupported("an object without metadata.name") : undefined;
}

/** No namespace and "default" are the same. A kind without namespaces has none, whatever the program sets. */
export function comparable(inputs: Properties): Properties {
  const normal = normalize(inputs);
  if (!isObject(normal.metadata)) return normal;
  const { namespace, ...metadata } = normal.metadata;
  if (normal.kind === "Namespace") return { ...normal, metadata };
  return { ...normal, metadata: { ...metadata, namespace: namespace || "default" } };
}

/** The property paths whose change needs a new object: the server would refuse the change, or ignore it. */
export function immutablePaths({ apiVersion, kind }: Properties): string[] {
  const identity = ["apiVersion", "kind", "metadata.name", "metadata.namespace"];
  return [...identity, ...(IMMUTABLE[`${apiVersion}/${kind}`] ?? [])];
}

const IMMUTABLE: Record<string, string[]> = {
  "apps/v1/Deployment": ["spec.selector"],
  "rbac.authorization.k8s.io/v1/RoleBinding": ["roleRef"],
  "v1/PersistentVolumeClaim": [
    "spec.accessModes",
    "spec.selector",
    "spec.storageClassName",
    "spec.volumeName",
  ],
  "v1/Secret": ["type"],
  "v1/Service": ["spec.clusterIP"],
};

/** The server sets these. From a program they would be refused, or differ at each update. */
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

/** Converts a Secret's `stringData` to `data`, as the server does, and drops read-only fields. */
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

/** Whether the new object has the old one's name, so that the old one has to go first. */
export function sameName(olds: Properties, after: Properties): boolean {
  const [before, now] = [reveal(olds.metadata ?? null), reveal(after.metadata ?? null)];
  if (!isObject(before) || !isObject(now)) return false;
  const sameNamespace = now.namespace === undefined || (before.namespace ?? "default") === now.namespace;
  return before.name === now.name && sameNamespace;
}

/** How dependents are deleted: foreground, unless the annotation says otherwise. */
export function propagationPolicy(inputs: Properties): string {
  const wanted = annotation(inputs, ANNOTATIONS.deletionPropagation)?.toLowerCase();
  return wanted === "background" ? "Background" : "Foreground";
}
