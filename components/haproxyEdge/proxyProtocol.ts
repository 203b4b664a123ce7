/** The client's address for the gateway where HAProxy adds no header: the PROXY protocol. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type GatewayRef, ISTIO_GATEWAY } from "../../mesh/model.ts";
import {
  apiVersionOf,
  DELETED_IN_BACKGROUND,
  DELETION_LIMIT,
  metadataOf,
  type OwnedObject,
  ownedObject,
} from "../../mesh/ownedObject.ts";
import { type ProxiedPort, proxyProtocolSpec } from "../../mesh/proxyProtocol.ts";
import { afterPropagation } from "../trafficSplit/propagation.ts";

/** What decides at which ports HAProxy sends the protocol. */
export interface ProxyProtocolNeeds {
  readonly namespace: string;
  readonly loadBalancer: { readonly proxyProtocol?: boolean | undefined };
  readonly tls?: { readonly mode: string } | undefined;
  readonly istio: { readonly manage: boolean; readonly gateway: GatewayRef };
}

/**
 * Without a setting, port 443 where the gateway decrypts it: nothing else can name the client there. A
 * gateway that is not this stack's is changed with consent only.
 */
export function proxiedPorts({
  loadBalancer: { proxyProtocol },
  tls,
  istio,
}: Omit<ProxyProtocolNeeds, "namespace">): ProxiedPort[] {
  const http = proxyProtocol === true;
  const https = tls?.mode === "passthrough" && (proxyProtocol ?? istio.manage);
  return [...(http ? (["http"] as const) : []), ...(https ? (["https"] as const) : [])];
}

/**
 * One for each port, so that a port that goes is an object that goes, which Pulumi deletes after the last
 * push. The gateway reads those of its own namespace only, so the name holds the application's.
 */
export const proxyProtocolObject = (port: ProxiedPort, namespace: string, gateway = ISTIO_GATEWAY) =>
  ownedObject("EnvoyFilter", gateway.namespace, `nginx-proxy-protocol-${port}-${namespace}`);

export function proxyProtocolObjects(config: ProxyProtocolNeeds): OwnedObject[] {
  const { namespace, istio } = config;
  return proxiedPorts(config).map((port) => proxyProtocolObject(port, namespace, istio.gateway));
}

/** Ports of the gateway's pods; undefined where the Service gives a name in place of a number. */
export type TargetPorts = Readonly<Record<ProxiedPort, number | undefined>>;

export interface ProxyProtocolArgs {
  /** Where HAProxy sends it. */
  ports: readonly ProxiedPort[];
  /** Those of them where the gateway read it before this update. @default none */
  reads?: readonly ProxiedPort[] | undefined;
  /** Namespace of the application. */
  namespace: string;
  targetPorts: pulumi.Input<TargetPorts>;
  /** @default the one that istioctl's profiles install */
  gateway?: GatewayRef | undefined;
  /** True: this stack has installed the gateway, and no other proxy is in front. @default false */
  manage?: boolean | undefined;
  /** True: requests may already flow. @default false */
  live?: boolean | undefined;
  /** Further labels of each object. @default none */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The stack that owns the objects. */
  owner: string;
}

/** Lets the gateway read the PROXY protocol, and still take connections without it. */
export class ProxyProtocol extends pulumi.ComponentResource {
  /** Where HAProxy may send it; known once every gateway reads it. */
  public readonly ports: pulumi.Output<readonly ProxiedPort[]>;

  constructor(name: string, args: ProxyProtocolArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:ProxyProtocol", name, {}, opts);
    const filters = args.ports.map((port) => this.createFilter(`${name}-${port}`, port, args));
    const isNew = args.ports.some((port) => !args.reads?.includes(port));
    const read = isNew && args.live ? afterPropagation(filters) : undefined;
    this.ports = pulumi.all([read, ...filters.map(({ id }) => id)]).apply(() => args.ports);
    this.registerOutputs({ ports: this.ports });
  }

  private createFilter(name: string, port: ProxiedPort, args: ProxyProtocolArgs) {
    const { namespace, gateway = ISTIO_GATEWAY, manage = false } = args;
    const object = proxyProtocolObject(port, namespace, gateway);
    return new k8s.apiextensions.CustomResource(
      name,
      {
        apiVersion: apiVersionOf(object),
        kind: object.kind,
        metadata: metadataOf(object, args, DELETED_IN_BACKGROUND),
        spec: pulumi.output(args.targetPorts).apply((ports) => specOf(port, { gateway, manage }, ports)),
      },
      { parent: this, customTimeouts: DELETION_LIMIT },
    );
  }
}

/**
 * The pods of this stack's gateway trust no proxy while TLS is passed through, because on port 443 a client's
 * own headers reach them. Port 80 has HAProxy's.
 */
export function specOf(
  port: ProxiedPort,
  { gateway, manage }: { readonly gateway: GatewayRef; readonly manage: boolean },
  ports: TargetPorts,
) {
  const trusted = port === "https" && manage ? ports.http : undefined;
  return proxyProtocolSpec({ selector: gateway.selector, port: ports[port], trusted });
}
