/**
 * Splits the traffic of a host over the versions of an application: Gateway, VirtualService, DestinationRule.
 */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Changeover, changeover } from "../../mesh/changeover.ts";
import {
  destinationRuleSpec,
  gatewaySpec,
  readVirtualService,
  type VirtualServiceLike,
  virtualServiceSpec,
} from "../../mesh/istio.ts";
import type { Tls } from "../../mesh/model.ts";
import { type GatewayRef, ISTIO_GATEWAY, type Routes, type Subset, type Weights } from "../../mesh/model.ts";
import {
  apiVersionOf,
  DELETED_IN_BACKGROUND,
  DELETION_LIMIT,
  metadataOf,
  type OwnedObject,
} from "../../mesh/ownedObject.ts";
import { certificateObject, destinationRuleObject, gatewayObject, virtualServiceObject } from "./objects.ts";
import { afterPropagation } from "./propagation.ts";

export interface TrafficSplitArgs {
  /** Namespace of the Service. */
  namespace: string;
  /** Name of the Service in front of all versions. */
  service: string;
  /** Host name that is split. */
  host: string;
  /** Host names that the Gateway lets in; `host` is one of them. */
  gatewayHosts: readonly string[];
  /** The versions, in the order of the configuration. */
  versions: readonly Subset[];
  /** Version name to integer percent; sums to 100. */
  weights: Weights;
  /** The subsets that receive requests before this update. @default none: no traffic flows yet */
  routed?: readonly Subset[] | undefined;
  /** Resources that must be ready before a request is sent to them. @default none */
  backends?: readonly pulumi.CustomResource[] | undefined;
  /** Further labels of each object. @default none */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The stack that owns the objects. */
  owner: string;
  /** The gateway that requests come in through. @default the one that istioctl's profiles install */
  gateway?: GatewayRef | undefined;
  /**
   * Certificate and key in PEM, for a gateway that serves https itself. @default the gateway serves http only
   */
  tls?: Pick<Tls, "certificate" | "key"> | undefined;
}

/** The host's traffic, split over the versions by weight. */
export class TrafficSplit extends pulumi.ComponentResource {
  /** Version name to percent, as the VirtualService holds them; known once every proxy uses them. */
  public readonly weights: pulumi.Output<Weights>;
  /** Opens the gateway's ports, 443 among them where the gateway serves https itself. */
  public readonly gateway: pulumi.Resource;

  constructor(name: string, args: TrafficSplitArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:TrafficSplit", name, {}, opts);
    const change = changeover(args.routed ?? [], args.versions);
    this.gateway = this.createGateway(name, args);
    let virtualService: k8s.apiextensions.CustomResource;
    if (change.order === "subsets first") {
      const subsets = this.createDestinationRule(name, args, change, []);
      virtualService = this.createVirtualService(name, args, change, [subsets]);
    } else {
      virtualService = this.createVirtualService(name, args, change, []);
      this.createDestinationRule(name, args, change, [virtualService]);
    }
    if (change.retained.length > 0) this.warnOfRetained(change.retained);
    this.weights = weightsOf(virtualService, change);
    this.registerOutputs({ weights: this.weights, gateway: this.gateway });
  }

  private createGateway(name: string, args: TrafficSplitArgs): pulumi.Resource {
    const dependsOn = args.tls ? [this.createCertificate(name, args, args.tls)] : [];
    return this.createObject(`${name}-gateway`, args, gatewayObject(args.namespace), {
      spec: gatewaySpec(routesOf(args)),
      dependsOn,
    });
  }

  private createCertificate(
    name: string,
    { namespace, gateway, owner, labels }: TrafficSplitArgs,
    { certificate, key }: NonNullable<TrafficSplitArgs["tls"]>,
  ): pulumi.Resource {
    return new k8s.core.v1.Secret(
      `${name}-certificate`,
      {
        metadata: metadataOf(certificateObject(namespace, gateway), { owner, labels }),
        type: "kubernetes.io/tls",
        stringData: { "tls.crt": certificate, "tls.key": pulumi.secret(key) },
      },
      { parent: this, customTimeouts: DELETION_LIMIT },
    );
  }

  private createDestinationRule(
    name: string,
    args: TrafficSplitArgs,
    change: Changeover,
    after: readonly pulumi.CustomResource[],
  ) {
    return this.createObject(`${name}-subsets`, args, destinationRuleObject(args.namespace), {
      spec: ordered(destinationRuleSpec(routesOf(args), change.retained), change, after),
      dependsOn: after,
    });
  }

  private createVirtualService(
    name: string,
    args: TrafficSplitArgs,
    change: Changeover,
    after: readonly pulumi.CustomResource[],
  ) {
    const spec = virtualServiceSpec(routesOf(args), gatewayObject(args.namespace).name);
    return this.createObject(name, args, virtualServiceObject(args.namespace), {
      // Proxies know new pods a moment after these are ready.
      spec: ordered(spec, change, [...after, ...(args.backends ?? [])]),
      dependsOn: [this.gateway, ...(args.backends ?? []), ...after],
    });
  }

  private createObject(
    name: string,
    args: TrafficSplitArgs,
    object: OwnedObject,
    { spec, dependsOn }: { spec: pulumi.Input<object>; dependsOn: readonly pulumi.Resource[] },
  ) {
    return new k8s.apiextensions.CustomResource(
      name,
      {
        apiVersion: apiVersionOf(object),
        kind: object.kind,
        metadata: metadataOf(object, args, DELETED_IN_BACKGROUND),
        spec,
      },
      { parent: this, dependsOn: [...dependsOn], customTimeouts: DELETION_LIMIT },
    );
  }

  private warnOfRetained(retained: readonly Subset[]): void {
    const names = retained.map(({ name }) => name).join(", ");
    void pulumi.log.warn(
      `DestinationRule nginx keeps ${names} during this update, because requests go there until the ` +
        "new versions are ready; the next pulumi up removes it",
      this,
    );
  }
}

function routesOf({ gateway = ISTIO_GATEWAY, ...args }: TrafficSplitArgs): Routes {
  const credential = args.tls && certificateObject(args.namespace, gateway).name;
  return { ...args, gateway, credential };
}

/**
 * The spec, to be written once every proxy uses `after`: a proxy may apply two changes of one push in any
 * order.
 */
function ordered(
  spec: object,
  { waitBetween }: Changeover,
  after: readonly pulumi.CustomResource[],
): pulumi.Input<object> {
  return waitBetween ? afterPropagation(after).apply(() => spec) : spec;
}

/**
 * The weights that the API server holds. When the program ends, Pulumi deletes the pods of the retained
 * subsets: every proxy must have stopped sending requests there by then.
 */
function weightsOf(
  virtualService: k8s.apiextensions.CustomResource,
  { retained }: Changeover,
): pulumi.Output<Weights> {
  // The SDK types no fields of custom resources; the outputs hold them all the same.
  const { spec } = virtualService as unknown as { spec: pulumi.Output<VirtualServiceLike["spec"]> };
  const propagated = retained.length > 0 ? afterPropagation([virtualService]) : undefined;
  return pulumi.all([spec, propagated]).apply(([spec]) => readVirtualService({ spec }).weights);
}
