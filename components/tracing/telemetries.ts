/** Warns of Telemetry objects of others that Istio prefers to the lab's. */
import type { GatewayRef } from "../../mesh/model.ts";
import {
  preferredTelemetry,
  type TelemetryLike,
  telemetriesPath,
  telemetryName,
} from "../../mesh/telemetries.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import type { TracingSettings } from "./config.ts";
import { telemetryObject } from "./objects.ts";

/** The part of the configuration that the check reads. */
export interface TelemetryNeeds {
  readonly tracing: TracingSettings | undefined;
  readonly namespace: string;
  readonly istio: { readonly gateway: Pick<GatewayRef, "namespace" | "selector"> };
}

/** No fault: the object is another team's, and only the spans of these pods are missing. */
export async function checkTelemetries({ api, config }: CheckContext<TelemetryNeeds>): Promise<Findings> {
  const { tracing, namespace, istio } = config;
  if (!tracing) return { faults: [] };
  const { gateway } = istio;
  const chosen = [
    { where: gateway.namespace, labels: gateway.selector, pods: "the gateway" },
    { where: namespace, labels: { app: "nginx" }, pods: "the application" },
  ];
  const warnings = await Promise.all(
    chosen.map(async ({ where, labels, pods }) => {
      const { items } = await api.list<TelemetryLike>(telemetriesPath(where));
      const preferred = preferredTelemetry(items, telemetryObject(where).name, labels);
      if (!preferred) return [];
      return [
        `Telemetry ${telemetryName(preferred)} of ${api.where} selects ${pods} and is older than the lab's ` +
          `${telemetryObject(where).name}, which Istio then leaves out: ${pods} sends no spans to the ` +
          "collector of tracing. Narrow its selector, or let it name the provider istio-lab-tracing too",
      ];
    }),
  );
  return { faults: [], warnings: warnings.flat() };
}
