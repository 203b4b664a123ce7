/** Spans of the requests, from the gateway to the version that answered. */
import { isIP } from "node:net";
import { ISTIO_GATEWAY } from "../../mesh/model.ts";
import { observabilityNamespace } from "../../mesh/observability.ts";
import { COLLECTOR_HOST, extensionProvider } from "../../mesh/telemetry.ts";
import type { Capability } from "../../preflight/capability.ts";
import type { WebAppConfig } from "../webApp/config.ts";
import { type TracingConfig, tracingSettings } from "./config.ts";
import { tracingObjects } from "./objects.ts";
import { DEPLOYED_ZIPKIN } from "./tracing.ts";

export const tracing = {
  name: "tracing",
  settings: tracingSettings,
  objects({ tracing, namespace }) {
    if (!tracing) return [];
    const deployed = tracing.image !== undefined;
    return [
      ...(deployed ? [observabilityNamespace] : []),
      ...tracingObjects({ namespace, gateway: ISTIO_GATEWAY, deployed }),
    ];
  },
  istioValues({ tracing }) {
    if (!tracing) return {};
    const { collector = DEPLOYED_ZIPKIN } = tracing;
    const host = isIP(collector.host) > 0 ? COLLECTOR_HOST : collector.host;
    return { meshConfig: { extensionProviders: [extensionProvider({ ...collector, host })] } };
  },
} satisfies Capability<TracingConfig & WebAppConfig>;
