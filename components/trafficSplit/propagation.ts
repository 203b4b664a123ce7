import { setTimeout as delay } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";

/**
 * From a change in the cluster to the last proxy that has heard of it. istiod gathers changes for 0.1 s before it pushes
 * them (PILOT_DEBOUNCE_AFTER) and tells no client when all have arrived; measured on a busy machine of two cores: 0.3 s.
 */
export const PROPAGATION_SECONDS = 3;

/** Known once every proxy has heard of what was written; at once in a preview, which writes nothing. */
export function heardOf(written: readonly pulumi.CustomResource[]): pulumi.Output<unknown> {
  const wait = written.length > 0 && !pulumi.runtime.isDryRun();
  return pulumi
    .all(written.map(({ id }) => id))
    .apply(() => (wait ? delay(PROPAGATION_SECONDS * 1000) : undefined));
}
