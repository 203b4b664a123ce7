/** The load balancer in front of the nodes. */
import type { Capability } from "../../preflight/capability.ts";
import { type HaproxyEdgeConfig, haproxyEdgeSettings } from "./config.ts";
import { gatewayValues } from "./gateway.ts";
import { haproxyEdgePreflight, type Needs } from "./preflight.ts";
import { type ProxyProtocolNeeds, proxyProtocolObjects } from "./proxyProtocol.ts";
import { checkProxyProtocol, proxyProtocolTrials } from "./proxyProtocolCheck.ts";

export const haproxyEdge = {
  name: "haproxyEdge",
  settings: haproxyEdgeSettings,
  ...haproxyEdgePreflight,
  objects: proxyProtocolObjects,
  trials: proxyProtocolTrials,
  checks: [checkProxyProtocol],
  istioValues: ({ tls }) => gatewayValues(tls),
} satisfies Capability<HaproxyEdgeConfig & Needs & ProxyProtocolNeeds>;
