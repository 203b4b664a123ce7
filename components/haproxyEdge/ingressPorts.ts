/** Reads the NodePorts of the ingress gateway. */
import * as pulumi from "@pulumi/pulumi";
import type { KubernetesObject, Selection } from "../../clients/kubernetes.ts";
import { sharedApi } from "../../clients/sharedApi.ts";
import {
  type GatewayPort,
  nodePortOf,
  portFault,
  type ServicePort,
  targetPortOf,
} from "../../mesh/gatewayPorts.ts";
import type { TargetPorts } from "./proxyProtocol.ts";

export interface IngressPortsArgs {
  /** `namespace/name` of the gateway's Service; unknown until that Service has its NodePorts. */
  gatewayService: pulumi.Output<string>;
  /** The kubeconfig and the context in it. */
  cluster: Selection;
  /** Command that installs the gateway again. @default none: another owner installs it */
  reinstall?: string | undefined;
}

/** The ports that every node opens for the ingress gateway. */
export interface NodePorts {
  readonly http2: number;
  readonly statusPort: number;
  /** Undefined where the profile has none. */
  readonly https?: number | undefined;
}

/**
 * Reads the gateway's NodePorts at each `up`, so that a changed port is noticed. The program reads
 * the Service itself: as a resource of the state, `pulumi refresh` would call it unhealthy wherever it gets
 * no address.
 */
export class IngressPorts extends pulumi.ComponentResource {
  public readonly nodePorts: pulumi.Output<NodePorts>;
  /** The gateway's own. */
  public readonly targetPorts: pulumi.Output<TargetPorts>;

  constructor(name: string, args: IngressPortsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:IngressPorts", name, {}, opts);
    const ports = args.gatewayService.apply((service) => readPorts(service, args, this));
    this.nodePorts = ports.apply(({ nodePorts }) => nodePorts);
    this.targetPorts = ports.apply(({ targetPorts }) => targetPorts);
    this.registerOutputs({ nodePorts: this.nodePorts });
  }
}

interface Service extends KubernetesObject {
  readonly spec?: { readonly ports?: readonly ServicePort[] };
}

/** @param service `namespace/name` */
export async function readPorts(
  service: string,
  { cluster, reinstall }: Omit<IngressPortsArgs, "gatewayService">,
  resource?: pulumi.Resource,
): Promise<{ readonly nodePorts: NodePorts; readonly targetPorts: TargetPorts }> {
  const found = await readService(service, cluster);
  if (found) {
    const ports = found.spec?.ports;
    const targetPorts = { http: targetPortOf(ports, "http2"), https: targetPortOf(ports, "https") };
    return { nodePorts: nodePortsOf(ports, service, resource), targetPorts };
  }
  const wayOut = reinstall
    ? `install Istio again, then run pulumi up:\n${reinstall}`
    : "install the gateway again, then run pulumi up";
  throw new pulumi.ResourceError(`Service ${service} does not exist: ${wayOut}`, resource, true);
}

async function readService(service: string, cluster: Selection): Promise<Service | undefined> {
  const [namespace, name] = service.split("/");
  const api = await sharedApi(cluster);
  return await api.get<Service>(`/api/v1/namespaces/${namespace}/services/${name}`);
}

/** @throws where the Service has no NodePort for a port that the load balancer needs. */
export function nodePortsOf(
  ports: readonly ServicePort[] | undefined,
  service: string,
  resource?: pulumi.Resource,
): NodePorts {
  const need = (which: GatewayPort) => {
    const port = nodePortOf(ports, which);
    if (port) return port;
    throw new pulumi.ResourceError(portFault(ports, which, service) ?? "", resource, true);
  };
  return { http2: need("http2"), statusPort: need("status-port"), https: nodePortOf(ports, "https") };
}
