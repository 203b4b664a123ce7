/** What the API server tries of the routes. */
import { destinationRuleSpec, gatewaySpec, virtualServiceSpec } from "../../mesh/istio.ts";
import type { GatewayRef, Subset, Weights } from "../../mesh/model.ts";
import { metadataOf, type OwnedObject } from "../../mesh/ownedObject.ts";
import type { Trial } from "../../preflight/capability.ts";
import { destinationRuleObject, gatewayObject, virtualServiceObject } from "./objects.ts";

export interface TrialNeeds {
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly host: string;
  readonly gatewayHosts: readonly string[];
  readonly versions: readonly Subset[];
  readonly weights: Weights;
  readonly istio: { readonly gateway: GatewayRef; readonly manage: boolean };
}

/** Istio's webhook does not answer where the update is yet to install what answers. */
export const NO_ISTIOD_YET = /failed calling webhook "[^"]*istio\.io"|no answer to a dry run/;

/** The routing objects; a cluster without Istio does not know their kinds, and tries none. */
export function trafficSplitTrials(config: TrialNeeds, owner: string): Trial[] {
  const { namespace, labels, istio } = config;
  const routes = { ...config, service: "nginx-svc", gateway: istio.gateway };
  const gateway = gatewayObject(namespace);
  const trial = (object: OwnedObject, spec: object): Trial => ({
    object,
    body: { metadata: metadataOf(object, { owner, labels }), spec },
    tolerates: istio.manage ? NO_ISTIOD_YET : undefined,
  });
  return [
    trial(gateway, gatewaySpec(routes)),
    trial(virtualServiceObject(namespace), virtualServiceSpec(routes, gateway.name)),
    trial(destinationRuleObject(namespace), destinationRuleSpec(routes, [])),
  ];
}
