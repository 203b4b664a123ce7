/** What the dashboard needs of a stack's outputs. */
import type { Outputs } from "../outputs.ts";
import type { Observed } from "./command.ts";

/**
 * @param url the test page as the reader's browser reaches it.
 * @throws Error with the way out when the stack has no monitoring.
 */
export function observedOf(outputs: Outputs, url: string): Observed {
  const { monitoring, tracing, namespace, versionLabels } = outputs;
  if (!monitoring)
    throw new Error(
      "monitoring is off in this stack: pulumi config set --path monitoring.enabled true, then pulumi " +
        "up (for the embedded lab: ./lab pulumi …, ./lab up)",
    );
  return {
    url,
    namespace,
    prometheus: monitoring,
    scrapeSeconds: monitoring.scrapeSeconds,
    gateway: monitoring.gateway,
    backend: monitoring.backend,
    versionLabels: versionLabels ?? {},
    zipkin: tracing ?? undefined,
  };
}
