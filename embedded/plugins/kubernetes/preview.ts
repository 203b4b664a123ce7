/** Previews: what the server would make of an object, by a dry run. */
import { ApiError } from "../../../clients/kubernetes.ts";
import type { Properties } from "../values.ts";
import { type Cluster, type KubernetesObject, NoSuchKind, referenceTo } from "./cluster.ts";
import { previewOutputs } from "./drift.ts";
import { toObject } from "./objects.ts";
import { apply, create, hasCreatedFields, hasManagers } from "./writing.ts";

export type DryRun = (cluster: Cluster, object: KubernetesObject) => Promise<KubernetesObject>;

/** Forced: an object that is to be replaced would be in conflict with the one that is there. */
export function createDryRun(upsert: boolean, fieldManager: string): DryRun {
  return (cluster, object) => create(cluster, object, { upsert, fieldManager, force: true, dryRun: true });
}

/** Forced where the real update adopts fields first. */
export function updateDryRun(patchForce: boolean, fieldManager: string): DryRun {
  return async (cluster, object) => {
    const before = await cluster.get(referenceTo(object));
    const force = patchForce || !hasManagers(before) || hasCreatedFields(before);
    return await apply(cluster, object, { fieldManager, force, dryRun: true });
  };
}

/** The outputs after a dry run; the inputs where the server can make none. */
export async function previewOf(cluster: Cluster, inputs: Properties, dryRun: DryRun): Promise<Properties> {
  const object = toObject(inputs);
  if (!(await cluster.knows(object))) return inputs;
  try {
    return previewOutputs(await dryRun(cluster, object), inputs);
  } catch (error) {
    if (hasNoDryRun(error)) return inputs;
    throw error;
  }
}

function hasNoDryRun(error: unknown): boolean {
  if (error instanceof NoSuchKind) return true;
  if (!(error instanceof ApiError)) return false;
  const { status, reason, message } = error;
  return [403, 404].includes(status) || reason === "AlreadyExists" || /dry.?run|is immutable/i.test(message);
}
