/** Writes objects: applies, the field manager's name, retries of a create, the end of a manager's fields. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ApiError } from "../../../clients/kubernetes.ts";
import type { Properties } from "../values.ts";
import { type Cluster, isNotFound, type KubernetesObject, NoSuchKind } from "./cluster.ts";
import { ANNOTATIONS, annotation } from "./objects.ts";

/** Retries of a create whose kind or namespace does not exist yet. */
const RETRIES = 5;
const FIRST_PAUSE_MS = 1000;
const PAUSE_FACTOR = 2;

/** The annotation, else the state's name, else a random name. */
export function fieldManagerOf(inputs: Properties, state: Properties = {}): string {
  const annotated = annotation(inputs, ANNOTATIONS.patchFieldManager);
  if (annotated) return annotated;
  if (typeof state.__fieldManager === "string") return state.__fieldManager;
  return `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  /** @default false */
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** @throws in the official provider's words where another manager has set a field to another value */
export async function apply(
  cluster: Cluster,
  object: KubernetesObject,
  { fieldManager, force = false, dryRun = false }: ApplyOptions,
): Promise<KubernetesObject> {
  try {
    return await cluster.apply(object, { fieldManager, force, dryRun });
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== "Conflict") throw error;
    throw new Error(
      "server-side apply field conflict detected\n" +
        `The resource managed by field manager "${fieldManager}" had an apply conflict: ${error.message}`,
    );
  }
}

/**
 * Gives up a manager's fields. Fields without another manager are removed. A deleted object would be made
 * again, empty.
 */
export async function relinquish(
  cluster: Cluster,
  { apiVersion, kind, metadata: { name, namespace } }: KubernetesObject,
  fieldManager: string,
): Promise<void> {
  const metadata = { name, ...(namespace ? { namespace } : {}) } as KubernetesObject["metadata"];
  await cluster.apply({ apiVersion, kind, metadata }, { fieldManager, force: false });
}

/** Repeats the write while the kind or namespace can still appear. */
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
  return new Error(`resource "${urn}" was not successfully created by the Kubernetes API server: ${message}`);
}
