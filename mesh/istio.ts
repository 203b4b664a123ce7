/** The only writer and the only reader of Istio's routing objects. */
import type { Routes, Subset, Weights } from "./model.ts";

/** One weighted destination of a route. */
export interface WeightedDestination {
  destination: { host: string; port: { number: number }; subset: string };
  weight: number;
}

export interface VirtualServiceSpec {
  hosts: string[];
  gateways: string[];
  http: { name: string; route: WeightedDestination[] }[];
}

/**
 * The port of the Service. Without it, requests that the gateway receives on 443 would go to the Service's
 * 443.
 */
const SERVICE_PORT = { number: 80 };

/** @param gatewayName name of the Gateway in the same namespace. */
export function virtualServiceSpec(routes: Routes, gatewayName: string): VirtualServiceSpec {
  const route = weightedRoute(routes);
  return { hosts: [routes.host], gateways: [gatewayName], http: [{ name: routeName(route), route }] };
}

/** @param retained subsets besides the versions'. */
export function destinationRuleSpec({ service, versions }: Routes, retained: readonly Subset[]) {
  const subsets = [...versions, ...retained].map(({ name, version }) => ({
    name,
    labels: { app: "nginx", version },
  }));
  return { host: service, subsets: subsets.toReversed() };
}

export function gatewaySpec({ gatewayHosts, gateway, credential }: Routes) {
  const hosts = [...gatewayHosts];
  const http = { port: { number: 80, name: "http", protocol: "HTTP" }, hosts };
  if (credential === undefined) return { selector: gateway.selector, servers: [http] };
  const https = {
    port: { number: 443, name: "https", protocol: "HTTPS" },
    hosts,
    tls: { mode: "SIMPLE", credentialName: credential },
  };
  return { selector: gateway.selector, servers: [http, https] };
}

/**
 * The newest version first, as in the article. A version with weight 0 stays listed, so that a shift only
 * changes numbers.
 */
function weightedRoute({ service, versions, weights }: Routes): WeightedDestination[] {
  return versions
    .map(({ name }) => ({
      destination: { host: service, port: SERVICE_PORT, subset: name },
      weight: weights[name] ?? 0,
    }))
    .toReversed();
}

/** E.g. `weights-v117-50-v116-50`. Envoy logs the route's name with each request, and with it the weights. */
function routeName(route: readonly WeightedDestination[]): string {
  return ["weights", ...route.map(({ destination, weight }) => `${destination.subset}-${weight}`)].join("-");
}

/** The routing that a VirtualService holds. */
export interface Routing {
  /** Name of the weighted route, as in access logs; absent where the VirtualService gives none. */
  readonly name?: string | undefined;
  /** Subset to percent, from the weighted route. */
  readonly weights: Weights;
  /** Every subset that any route of the VirtualService names. */
  readonly subsets: readonly string[];
}

/** The fields of a VirtualService that are read. */
export interface VirtualServiceLike {
  readonly spec?: {
    readonly http?: readonly {
      readonly name?: string;
      readonly route?: readonly { readonly destination?: { readonly subset?: string }; weight?: number }[];
    }[];
  };
}

/** The fields of a DestinationRule that are read. */
export interface DestinationRuleLike {
  readonly spec?: {
    readonly subsets?: readonly { readonly name: string; readonly labels?: { readonly version?: string } }[];
  };
}

/** Reads a VirtualService, whichever tool wrote it. */
export function readVirtualService({ spec }: VirtualServiceLike): Routing {
  const http = spec?.http ?? [];
  const [weighted] = http;
  const subsets = http.flatMap(({ route }) => route ?? []).map(({ destination }) => destination?.subset);
  return {
    ...(weighted?.name ? { name: weighted.name } : {}),
    weights: Object.fromEntries(
      (weighted?.route ?? []).map(({ destination, weight }) => [destination?.subset ?? "", weight ?? 0]),
    ),
    subsets: [...new Set(subsets.filter((subset) => subset !== undefined))],
  };
}

/** The subsets that requests reach: those that the VirtualService names and the DestinationRule defines. */
export function routedSubsets(
  virtualService: VirtualServiceLike | undefined,
  destinationRule: DestinationRuleLike | undefined,
): Subset[] {
  const named = virtualService ? readVirtualService(virtualService).subsets : [];
  return (destinationRule?.spec?.subsets ?? [])
    .filter(({ name }) => named.includes(name))
    .map(({ name, labels }) => ({ name, version: labels?.version ?? "" }));
}
