/** Reads the NodePorts of the ingress gateway. */
import * as pulumi from "@pulumi/pulumi";
import { KubernetesApi, type KubernetesObject, type Selection } from "../../clients/kubernetes.ts";

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
 * Reads the gateway's NodePorts, by name, at each `up`, so that a changed port is noticed. The program reads
 * the Service itself: as a resource of the state, `pulumi refresh` would call it unhealthy wherever it gets
 * no address.
 */
export class IngressPorts extends pulumi.ComponentResource {
  public readonly nodePorts: pulumi.Output<NodePorts>;

  constructor(name: string, args: IngressPortsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:IngressPorts", name, {}, opts);
    this.nodePorts = args.gatewayService.apply((service) => readNodePorts(service, args, this));
    this.registerOutputs({ nodePorts: this.nodePorts });
  }
}

interface Service extends KubernetesObject {
  readonly spec?: { readonly ports?: readonly Port[] };
}

interface Port {
  readonly name?: string;
  readonly nodePort?: number;
}

/** @param service `namespace/name` */
export async function readNodePorts(
  service: string,
  { cluster, reinstall }: Omit<IngressPortsArgs, "gatewayService">,
  resource?: pulumi.Resource,
): Promise<NodePorts> {
  const found = await readService(service, cluster);
  if (found) return nodePortsOf(found.spec?.ports, service, resource);
  const wayOut = reinstall
    ? `install Istio again, then run pulumi up:\n${reinstall}`
    : "install the gateway again, then run pulumi up";
  throw new pulumi.ResourceError(`Service ${service} does not exist: ${wayOut}`, resource, true);
}

async function readService(service: string, cluster: Selection): Promise<Service | undefined> {
  const [namespace, name] = service.split("/");
  const api = await KubernetesApi.connect(cluster);
  try {
    return await api.get<Service>(`/api/v1/namespaces/${namespace}/services/${name}`);
  } finally {
    await api.close();
  }
}

/** The NodePorts of a Service by the names that Istio gives its ports. */
export function nodePortsOf(
  ports: readonly Port[] | undefined,
  service: string,
  resource?: pulumi.Resource,
): NodePorts {
  const find = (name: string) => ports?.find((port) => port.name === name)?.nodePort;
  const need = (name: string) => {
    const port = find(name);
    if (port) return port;
    throw new pulumi.ResourceError(
      `Service ${service} has no NodePort of the name ${name}: its type must be LoadBalancer or NodePort`,
      resource,
      true,
    );
  };
  return { http2: need("http2"), statusPort: need("status-port"), https: find("https") };
}
