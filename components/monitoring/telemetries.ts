/** Warns of Telemetry objects that switch off the metrics which the lab reads. */
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import {
  removedMetrics,
  type TelemetryLike,
  telemetriesPath,
  telemetryName,
} from "../../mesh/telemetries.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import type { MonitoringSettings } from "./config.ts";

/** The part of the configuration that the check reads. */
export interface MetricsNeeds {
  readonly monitoring: MonitoringSettings | undefined;
  readonly istio: { readonly gateway: { readonly namespace: string } };
}

/**
 * A Telemetry for the mesh, or for the gateway's namespace, applies to the gateway, whose requests the lab
 * counts. The stand-in is an access logger, which Telemetry objects do not switch off.
 */
export async function checkMetrics({ api, config }: CheckContext<MetricsNeeds>): Promise<Findings> {
  const { monitoring, istio } = config;
  if (!monitoring || monitoring.standIn) return { faults: [] };
  const namespaces = [...new Set([ISTIO_NAMESPACE, istio.gateway.namespace])];
  const lists = await Promise.all(namespaces.map((one) => api.list<TelemetryLike>(telemetriesPath(one))));
  const warnings = lists.flatMap(({ items }) =>
    items.flatMap((telemetry) => {
      const removed = removedMetrics(telemetry);
      if (removed.length === 0) return [];
      return [
        `Telemetry ${telemetryName(telemetry)} of ${api.where} switches off ${removed.join(", ")}, which ` +
          "monitoring reads: shares, rates or times of the dashboard stay empty while it does",
      ];
    }),
  );
  return { faults: [], warnings };
}
