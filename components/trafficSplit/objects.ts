/** The objects of the traffic split. */
import { type GatewayRef, ISTIO_GATEWAY } from "../../mesh/model.ts";
import { type OwnedObject, ownedObject } from "../../mesh/ownedObject.ts";

/** Opens the ingress gateway's ports for the host names. */
export const gatewayObject = (namespace: string) => ownedObject("Gateway", namespace, "nginx-gateway");

/** Routes requests to subsets by weight. */
export const virtualServiceObject = (namespace: string) => ownedObject("VirtualService", namespace, "nginx");

/** Says which pods are in which subset. */
export const destinationRuleObject = (namespace: string) =>
  ownedObject("DestinationRule", namespace, "nginx");

/**
 * Certificate and key of a gateway that serves https. The gateway reads Secrets of its own namespace only, so
 * the name holds the application's.
 */
export const certificateObject = (namespace: string, gateway: GatewayRef = ISTIO_GATEWAY) =>
  ownedObject("Secret", gateway.namespace, `nginx-gateway-tls-${namespace}`);

export interface TrafficSplitObjectsArgs {
  /** Namespace of the application. */
  readonly namespace: string;
  /** True: the gateway serves https from a Secret. */
  readonly gatewayTls: boolean;
  /** @default the gateway that istioctl's profiles install */
  readonly gateway?: GatewayRef | undefined;
}

/** Everything that the traffic split owns. */
export function trafficSplitObjects({
  namespace,
  gatewayTls,
  gateway,
}: TrafficSplitObjectsArgs): OwnedObject[] {
  return [
    gatewayObject(namespace),
    virtualServiceObject(namespace),
    destinationRuleObject(namespace),
    ...(gatewayTls ? [certificateObject(namespace, gateway)] : []),
  ];
}
