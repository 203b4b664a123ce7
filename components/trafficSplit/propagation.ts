/** Waits until every proxy uses what was written. */
import { setTimeout as delay } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import { PROPAGATION_SECONDS } from "../../mesh/propagation.ts";

/**
 * Resolves PROPAGATION_SECONDS after the last of the resources was written. Resolves at once in a preview,
 * which writes nothing and does not know the id of a new resource, and where the list is empty.
 */
export function afterPropagation(written: readonly pulumi.CustomResource[]): pulumi.Output<unknown> {
  if (written.length === 0 || pulumi.runtime.isDryRun()) return pulumi.output(undefined);
  return pulumi.all(written.map(({ id }) => id)).apply(() => delay(PROPAGATION_SECONDS * 1000));
}
