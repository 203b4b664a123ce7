/** The list of capabilities, one line each, in the order of the documentation. */
import { cluster } from "./components/cluster/capability.ts";
import { haproxyEdge } from "./components/haproxyEdge/capability.ts";
import { istio } from "./components/istio/capability.ts";
import { mergeValues } from "./components/istio/values.ts";
import { monitoring } from "./components/monitoring/capability.ts";
import { stats } from "./components/stats/capability.ts";
import { tls } from "./components/tls/capability.ts";
import { tracing } from "./components/tracing/capability.ts";
import { trafficSplit } from "./components/trafficSplit/capability.ts";
import { webApp } from "./components/webApp/capability.ts";
import type { Capability } from "./preflight/capability.ts";
import type { Settings } from "./settings/settings.ts";

export const capabilities = [
  cluster,
  webApp,
  trafficSplit,
  istio,
  haproxyEdge,
  tls,
  stats,
  monitoring,
  tracing,
] as const;

/** The whole configuration, checked and with every default filled in. */
export type LabConfig = Settings<typeof capabilities>;

/** Values of Istio's charts: the user's, with what every capability adds. */
export function istioValues(config: LabConfig): Record<string, unknown> {
  const all: readonly Capability<LabConfig>[] = capabilities;
  return mergeValues(config.istio.values, ...all.map((each) => each.istioValues?.(config) ?? {}));
}
