/** The objects of tracing: Zipkin, and what makes the mesh's proxies report spans. */
import type { GatewayRef } from "../../mesh/model.ts";
import { OBSERVABILITY_NAMESPACE } from "../../mesh/observability.ts";
import { type OwnedObject, ownedObject } from "../../mesh/ownedObject.ts";

export const zipkinDeployment = ownedObject("Deployment", OBSERVABILITY_NAMESPACE, "zipkin");
export const zipkinService = ownedObject("Service", OBSERVABILITY_NAMESPACE, "zipkin");

/** Turns tracing on for the proxies of one namespace that a selector names. */
export const telemetryObject = (namespace: string) =>
  ownedObject("Telemetry", namespace, "istio-lab-tracing");

/** Makes an endpoint outside the mesh known to it. */
export const endpointObject = (namespace: string) =>
  ownedObject("ServiceEntry", namespace, "istio-lab-tracing");

export interface TracingObjectsArgs {
  /** Namespace of the application. */
  readonly namespace: string;
  readonly gateway: GatewayRef;
  /** True: Zipkin is deployed; false: spans go to an endpoint of the user's own. */
  readonly deployed: boolean;
}

/** Everything that tracing owns besides the namespace. */
export function tracingObjects({ namespace, gateway, deployed }: TracingObjectsArgs): OwnedObject[] {
  const namespaces = [...new Set([namespace, gateway.namespace])];
  return [
    ...namespaces.map(telemetryObject),
    ...(deployed ? [zipkinDeployment, zipkinService] : [endpointObject(gateway.namespace)]),
  ];
}
