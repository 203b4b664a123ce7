/** Waits until every proxy uses what was written. */
import { setTimeout as delay } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import { PROPAGATION_SECONDS } from "../../mesh/propagation.ts";

/**
 * Resolves PROPAGATION_SECONDS after the last of the resources was written. Resolves at once in a preview,
 * which writes nothing, and where the list is empty.
 */
export function afterPropagation(written: readonly pulumi.CustomResource[]): pulumi.Output<unknown> {
  const wait = written.length > 0 && !pulumi.runtime.isDryRun();
  return pulumi
    .all(written.map(({ id }) => id))
    .apply(() => (wait ? delay(PROPAGATION_SECONDS * 1000) : undefined));
}
