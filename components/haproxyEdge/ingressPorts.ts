import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

export interface IngressPortsArgs {
  /** `namespace/name` of the gateway's Service; unknown for as long as that does not exist. */
  gatewayService: pulumi.Output<string>;
}

/** The ports that every node opens for the ingress gateway. */
export interface NodePorts {
  readonly http2: number;
  readonly statusPort: number;
  /** Undefined where the profile has none. */
  readonly https?: number | undefined;
}

/** Reads the gateway's NodePorts, by name, at each `up`: a port that has changed is seen. */
export class IngressPorts extends pulumi.ComponentResource {
  public readonly nodePorts: pulumi.Output<NodePorts>;

  constructor(name: string, args: IngressPortsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:IngressPorts", name, {}, opts);
    const service = k8s.core.v1.Service.get(name, args.gatewayService, { parent: this });
    this.nodePorts = service.spec.ports.apply((ports) => nodePortsOf(ports, this));
    this.registerOutputs({ nodePorts: this.nodePorts });
  }
}

/** The NodePorts of a Service by the names that Istio gives its ports. */
export function nodePortsOf(
  ports: readonly { name?: string; nodePort?: number }[] | undefined,
  resource?: pulumi.Resource,
): NodePorts {
  const find = (name: string) => ports?.find((port) => port.name === name)?.nodePort;
  const need = (name: string) => {
    const port = find(name);
    if (port) return port;
    throw new pulumi.ResourceError(
      `Service istio-ingressgateway has no NodePort of the name ${name}: its type must be LoadBalancer or NodePort`,
      resource,
      true,
    );
  };
  return { http2: need("http2"), statusPort: need("status-port"), https: find("https") };
}
