/** Where requests go at this moment. */

import type { KubernetesApi } from "../../clients/kubernetes.ts";
import type { Subset } from "./trafficSplit.ts";

/**
 * The subsets that the application's VirtualService names and its DestinationRule has: none where one of these is not
 * there, for then no request is answered.
 */
export async function routedSubsets(api: KubernetesApi, namespace: string): Promise<Subset[]> {
  const routing = `/apis/networking.istio.io/v1/namespaces/${namespace}`;
  const [virtualService, destinationRule] = await Promise.all([
    api.get<VirtualService>(`${routing}/virtualservices/nginx`),
    api.get<DestinationRule>(`${routing}/destinationrules/nginx`),
  ]);
  const routes = virtualService?.spec?.http?.flatMap(({ route }) => route ?? []) ?? [];
  const named = new Set(routes.map(({ destination }) => destination?.subset));
  return (destinationRule?.spec?.subsets ?? [])
    .filter(({ name }) => named.has(name))
    .map(({ name, labels }) => ({ name, version: labels?.version ?? "" }));
}

interface VirtualService {
  readonly spec?: {
    readonly http?: readonly { readonly route?: readonly { readonly destination?: { subset?: string } }[] }[];
  };
}

interface DestinationRule {
  readonly spec?: {
    readonly subsets?: readonly { readonly name: string; readonly labels?: { readonly version?: string } }[];
  };
}
