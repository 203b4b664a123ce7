/** Prometheus beside the mesh. */
import { ISTIO_GATEWAY } from "../../mesh/model.ts";
import { observabilityNamespace } from "../../mesh/observability.ts";
import type { Capability } from "../../preflight/capability.ts";
import type { WebAppConfig } from "../webApp/config.ts";
import { type MonitoringConfig, monitoringSettings } from "./config.ts";
import { monitoringObjects } from "./objects.ts";

export const monitoring = {
  name: "monitoring",
  settings: monitoringSettings,
  objects: ({ monitoring, namespace }) =>
    monitoring?.deployed
      ? [
          observabilityNamespace,
          ...monitoringObjects({
            scraped: [...new Set([namespace, ISTIO_GATEWAY.namespace])],
            istioNamespace: "istio-system",
            claim: monitoring.deployed.storage !== undefined,
            standIn: monitoring.standIn,
          }),
        ]
      : [],
} satisfies Capability<MonitoringConfig & WebAppConfig>;
