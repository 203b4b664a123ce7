/** Spans of the requests, from the gateway to the version that answered. */
import { observabilityNamespace } from "../../mesh/observability.ts";
import type { Capability } from "../../preflight/capability.ts";
import type { IstioConfig } from "../istio/config.ts";
import type { WebAppConfig } from "../webApp/config.ts";
import { type TracingConfig, tracingSettings } from "./config.ts";
import { tracingObjects } from "./objects.ts";
import { providerOf, tracingPreflight } from "./preflight.ts";

export const tracing = {
  name: "tracing",
  settings: tracingSettings,
  ...tracingPreflight,
  objects({ tracing, namespace, istio }) {
    if (!tracing) return [];
    const deployed = tracing.image !== undefined;
    return [
      ...(deployed ? [observabilityNamespace] : []),
      ...tracingObjects({ namespace, gateway: istio.gateway, deployed }),
    ];
  },
  istioValues: ({ tracing }) =>
    tracing ? { meshConfig: { extensionProviders: [providerOf(tracing)] } } : {},
} satisfies Capability<TracingConfig & WebAppConfig & IstioConfig>;
