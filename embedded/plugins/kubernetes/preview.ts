/** Previews an object: the server's result of a dry run. */
import { ApiError } from "../../../clients/kubernetes.ts";
import type { Properties } from "../values.ts";
import { type Cluster, NoSuchKind } from "./cluster.ts";
import { previewOutputs } from "./drift.ts";
import { toObject } from "./objects.ts";
import { type ApplyOptions, apply } from "./writing.ts";

/**
 * The outputs after a dry run, or the inputs where the server cannot do one.
 * @param options `force`: false where a conflict is to be reported. @default true, as before a create
 */
export async function previewOf(
  cluster: Cluster,
  inputs: Properties,
  { fieldManager, force = true }: ApplyOptions,
): Promise<Properties> {
  const object = toObject(inputs);
  if (!(await cluster.knows(object))) return inputs;
  try {
    return previewOutputs(await apply(cluster, object, { fieldManager, force, dryRun: true }), inputs);
  } catch (error) {
    if (hasNoDryRun(error)) return inputs;
    throw error;
  }
}

function hasNoDryRun(error: unknown): boolean {
  if (error instanceof NoSuchKind) return true;
  if (!(error instanceof ApiError)) return false;
  return [403, 404].includes(error.status) || /dry.?run|is immutable/i.test(error.message);
}
