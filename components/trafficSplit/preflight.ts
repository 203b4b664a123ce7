/** Where the application's requests go before the update, and whether others share the gateway. */
import { type DestinationRuleLike, routedSubsets, type VirtualServiceLike } from "../../mesh/istio.ts";
import type { Subset } from "../../mesh/model.ts";
import { pathOf } from "../../mesh/ownedObject.ts";
import type { CheckContext, Findings, Preflight } from "../../preflight/capability.ts";
import { checkAuthorization } from "./authorization.ts";
import { destinationRuleObject, trafficSplitObjects, virtualServiceObject } from "./objects.ts";
import { checkSharedGateway } from "./sharedGateway.ts";
import { type TrialNeeds, trafficSplitTrials } from "./trials.ts";

/** What the checks of the traffic split need of the configuration. */
export interface Needs extends TrialNeeds {
  readonly tls?: { readonly mode: string } | undefined;
}

export interface TrafficSplitFacts {
  /** The subsets that requests reach now; none where one of the routing objects is missing. */
  readonly routed: readonly Subset[];
}

export const trafficSplitPreflight = {
  objects: ({ namespace, tls, istio }) =>
    trafficSplitObjects({ namespace, gatewayTls: servesHttps({ tls }), gateway: istio.gateway }),
  trials: trafficSplitTrials,
  checks: [readRoutes, checkSharedGateway, checkAuthorization] as const,
} satisfies Preflight<Needs>;

const servesHttps = ({ tls }: Pick<Needs, "tls">) => tls?.mode === "passthrough";

async function readRoutes({ api, config }: CheckContext<Needs>): Promise<Findings<TrafficSplitFacts>> {
  const [virtualService, destinationRule] = await Promise.all([
    api.get<VirtualServiceLike>(pathOf(virtualServiceObject(config.namespace))),
    api.get<DestinationRuleLike>(pathOf(destinationRuleObject(config.namespace))),
  ]);
  return { faults: [], facts: { routed: routedSubsets(virtualService, destinationRule) } };
}
