/** The ports of an ingress gateway's Service. Pure. */

/** As the API server has it. */
export interface ServicePort {
  readonly name?: string;
  readonly port?: number;
  readonly nodePort?: number;
  /** The pods' port, or its name. */
  readonly targetPort?: number | string;
}

/** The ports that the load balancer needs: name in Istio's charts, and number. */
const PORTS = { http2: 80, "status-port": 15021, https: 443 } as const;

export type GatewayPort = keyof typeof PORTS;

/** Finds a port by its name, or else by its number: the Services of other tools use other names. */
export function nodePortOf(
  ports: readonly ServicePort[] | undefined,
  which: GatewayPort,
): number | undefined {
  return portOf(ports, which)?.nodePort;
}

/** The pods' port; undefined where the Service gives its name. */
export function targetPortOf(
  ports: readonly ServicePort[] | undefined,
  which: GatewayPort,
): number | undefined {
  const { port, targetPort = port } = portOf(ports, which) ?? {};
  return typeof targetPort === "number" ? targetPort : undefined;
}

const portOf = (ports: readonly ServicePort[] | undefined, which: GatewayPort) =>
  ports?.find(({ name }) => name === which) ?? ports?.find(({ port }) => port === PORTS[which]);

/** Why the load balancer cannot use that port, and the way out; undefined where it has a NodePort. */
export function portFault(
  ports: readonly ServicePort[] | undefined,
  which: GatewayPort,
  service: string,
): string | undefined {
  if (nodePortOf(ports, which)) return undefined;
  return (
    `Service ${service} has no NodePort for port ${PORTS[which]} (${which}): its type must be LoadBalancer ` +
    "or NodePort, and it must have that port"
  );
}
