/** How the provider writes objects: server-side apply, forced or not, under which field manager. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ApiError } from "../../../clients/kubernetes.ts";
import type { Properties } from "../values.ts";
import { type Cluster, isNotFound, type KubernetesObject, NoSuchKind, referenceTo } from "./cluster.ts";
import { ANNOTATIONS, annotation } from "./objects.ts";

/** A plain create is an update in the server's books; the first apply adopts its fields. */
const CREATE_MANAGER = "pulumi-kubernetes";
/** How often, and after which pauses, a create is tried again whose kind or namespace is not there yet. */
const RETRIES = 5;
const FIRST_PAUSE_MS = 1000;
const PAUSE_FACTOR = 2;

/** By precedence: the annotation, the state, a random name. */
export function fieldManagerOf(inputs: Properties, state: Properties = {}): string {
  const annotated = annotation(inputs, ANNOTATIONS.patchFieldManager);
  if (annotated) return annotated;
  if (typeof state.__fieldManager === "string") return state.__fieldManager;
  return `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
}

/**
 * Patch resources, and all where the program allows it (`upsertExistingObjects`), are applied: an object that
 * exists keeps its fields of other managers, and those are in conflict. All others must not exist.
 */
export async function create(
  cluster: Cluster,
  object: KubernetesObject,
  {
    upsert,
    fieldManager,
    force,
    dryRun = false,
  }: { upsert: boolean; fieldManager: string; force: boolean; dryRun?: boolean },
): Promise<KubernetesObject> {
  if (!upsert) return await cluster.create(object, { fieldManager: CREATE_MANAGER, dryRun });
  return await apply(cluster, object, { fieldManager, force: force || dryRun, dryRun });
}

/** @throws in the official provider's words on a conflict */
export async function apply(
  cluster: Cluster,
  object: KubernetesObject,
  options: { fieldManager: string; force: boolean; dryRun?: boolean },
): Promise<KubernetesObject> {
  const force = options.force || annotation(object, ANNOTATIONS.patchForce) === "true";
  try {
    return await cluster.apply(object, { ...options, force });
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== "Conflict") throw error;
    throw new Error(
      `server-side apply field conflict detected, see ${CONFLICT_HELP} for troubleshooting help\n` +
        `The resource managed by field manager "${options.fieldManager}" had an apply conflict: ` +
        `${error.message}`,
    );
  }
}

const CONFLICT_HELP =
  "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/" +
  "managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources";

/** False for an object that was made before server-side apply. */
export function hasManagers({ metadata }: KubernetesObject): boolean {
  return Array.isArray(metadata.managedFields) && metadata.managedFields.length > 0;
}

/** Whether the object has fields of a plain create, which an update adopts. */
export function hasCreatedFields({ metadata }: KubernetesObject): boolean {
  const entries = (metadata.managedFields ?? []) as { manager?: string; operation?: string }[];
  return entries.some(
    ({ manager = "", operation }) =>
      operation === "Update" && ["pulumi-resource-kubernetes", CREATE_MANAGER].includes(manager),
  );
}

/**
 * Gives a manager's fields up. Fields without another manager go; an object that is gone is made anew, and
 * empty.
 */
export async function relinquish(
  cluster: Cluster,
  { apiVersion, kind, metadata: { name, namespace } }: KubernetesObject,
  fieldManager: string,
): Promise<void> {
  const metadata = { name, ...(namespace ? { namespace } : {}) } as KubernetesObject["metadata"];
  await cluster.apply({ apiVersion, kind, metadata }, { fieldManager, force: false });
}

/** Writes again for as long as kind or namespace can still appear. */
export async function whenKindExists<T>(
  write: () => Promise<T>,
  { signal, onRetry, firstPauseMs = FIRST_PAUSE_MS }: WhenKindExists,
): Promise<T> {
  for (let attempt = 0, pause = firstPauseMs; ; attempt++, pause *= PAUSE_FACTOR) {
    try {
      return await write();
    } catch (error) {
      if (!isNotFound(error) || attempt === RETRIES || signal.aborted) throw error;
      onRetry(`Retry #${attempt}; creation failed: ${(error as Error).message}`);
    }
    await delay(pause, undefined, { signal });
  }
}

interface WhenKindExists {
  readonly signal: AbortSignal;
  readonly firstPauseMs?: number;
  onRetry(text: string): void;
}

export function creationError(urn: string, object: KubernetesObject, error: unknown): Error {
  const { message } = error as Error;
  if (error instanceof NoSuchKind)
    return new Error(
      `creation of resource "${urn}" with kind ${object.apiVersion}/${object.kind} failed because the ` +
        "Kubernetes API server reported that the apiVersion for this resource does not exist. " +
        `Verify that any required CRDs have been created: ${message}`,
    );
  const exists = error instanceof ApiError && error.reason === "AlreadyExists";
  return new Error(
    `resource "${urn}" was not successfully created by the Kubernetes API server: ${message}` +
      (exists ? `\n\nThe resource ${referenceTo(object).name} already exists in the cluster.` : ""),
  );
}
