/** Where the application's requests go before the update. */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import { type DestinationRuleLike, routedSubsets, type VirtualServiceLike } from "../../mesh/istio.ts";
import type { Subset } from "../../mesh/model.ts";
import { pathOf } from "../../mesh/ownedObject.ts";
import { destinationRuleObject, virtualServiceObject } from "./objects.ts";

/** The subsets that requests reach now; none where one of the routing objects is missing. */
export async function readRoutedSubsets(api: KubernetesApi, namespace: string): Promise<Subset[]> {
  const [virtualService, destinationRule] = await Promise.all([
    api.get<VirtualServiceLike>(pathOf(virtualServiceObject(namespace))),
    api.get<DestinationRuleLike>(pathOf(destinationRuleObject(namespace))),
  ]);
  return routedSubsets(virtualService, destinationRule);
}
