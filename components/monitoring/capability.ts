/** Prometheus beside the mesh. */
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { observabilityNamespace } from "../../mesh/observability.ts";
import type { Capability } from "../../preflight/capability.ts";
import type { IstioConfig } from "../istio/config.ts";
import type { WebAppConfig } from "../webApp/config.ts";
import { type MonitoringConfig, monitoringSettings } from "./config.ts";
import { scrapedNamespaces } from "./monitoring.ts";
import { monitoringObjects } from "./objects.ts";
import { monitoringPreflight } from "./preflight.ts";

export const monitoring = {
  name: "monitoring",
  settings: monitoringSettings,
  ...monitoringPreflight,
  objects: ({ monitoring, namespace, istio }) =>
    monitoring?.deployed
      ? [
          observabilityNamespace,
          ...monitoringObjects({
            scraped: scrapedNamespaces({
              namespace,
              gateway: istio.gateway,
              istioNamespace: ISTIO_NAMESPACE,
            }),
            istioNamespace: ISTIO_NAMESPACE,
            claim: monitoring.deployed.storage !== undefined,
            standIn: monitoring.standIn,
          }),
        ]
      : [],
} satisfies Capability<MonitoringConfig & WebAppConfig & IstioConfig>;
