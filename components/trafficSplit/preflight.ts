/** Where the application's requests go before the update. */
import { type DestinationRuleLike, routedSubsets, type VirtualServiceLike } from "../../mesh/istio.ts";
import type { Subset } from "../../mesh/model.ts";
import { pathOf } from "../../mesh/ownedObject.ts";
import type { CheckContext, Findings, Preflight } from "../../preflight/capability.ts";
import { destinationRuleObject, trafficSplitObjects, virtualServiceObject } from "./objects.ts";

/** What the checks of the traffic split need of the configuration. */
export interface Needs {
  readonly namespace: string;
  readonly tls?: { readonly mode: string } | undefined;
}

export interface TrafficSplitFacts {
  /** The subsets that requests reach now; none where one of the routing objects is missing. */
  readonly routed: readonly Subset[];
}

export const trafficSplitPreflight = {
  objects: ({ namespace, tls }) =>
    trafficSplitObjects({ namespace, gatewayTls: tls?.mode === "passthrough" }),
  checks: [readRoutes],
} satisfies Preflight<Needs>;

async function readRoutes({ api, config }: CheckContext<Needs>): Promise<Findings<TrafficSplitFacts>> {
  const [virtualService, destinationRule] = await Promise.all([
    api.get<VirtualServiceLike>(pathOf(virtualServiceObject(config.namespace))),
    api.get<DestinationRuleLike>(pathOf(destinationRuleObject(config.namespace))),
  ]);
  return { faults: [], facts: { routed: routedSubsets(virtualService, destinationRule) } };
}
