import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownedBy } from "../../mesh/owner.ts";
import { heardOf } from "./propagation.ts";

export interface TrafficSplitArgs {
  /** Namespace of the Service. */
  namespace: pulumi.Input<string>;
  /** Name of the Service in front of all versions. */
  service: string;
  /** Host name that is split. */
  host: string;
  /** Host names that the Gateway lets in; `host` is one of them. */
  gatewayHosts: readonly string[];
  /** The versions, in the order of the config. */
  versions: readonly Subset[];
  /** Version name to integer percent; sums to 100. */
  weights: Readonly<Record<string, number>>;
  /** The subsets that requests go to now, before this update. @default nobody is asking yet */
  routed?: readonly Subset[] | undefined;
  /** What must answer before a request is sent to it. @default nothing */
  backends?: readonly pulumi.Resource[] | undefined;
  /** The stack that the objects belong to. */
  owner: string;
  /** Certificate and key in PEM, for a gateway that serves https itself. @default it does not */
  tls?: { certificate: string; key: pulumi.Input<string> } | undefined;
}

/** The pods of a version, as the DestinationRule tells them. */
export interface Subset {
  /** The version's name, e.g. `v116`. */
  readonly name: string;
  /** Value of the pods' label `version`, e.g. `1.16`. */
  readonly version: string;
}

/** The host's traffic, split over the versions by weight. */
export class TrafficSplit extends pulumi.ComponentResource {
  /** Version name to percent, as the VirtualService holds them. */
  public readonly weights: pulumi.Output<Record<string, number>>;
  /** What opens the gateway's ports, 443 among them where it serves https itself. */
  public readonly gateway: pulumi.Resource;

  constructor(name: string, args: TrafficSplitArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:TrafficSplit", name, {}, opts);
    const { namespace } = args;
    // Nothing hangs on these objects. The default, foreground deletion, waits for the garbage collector, which looks for
    // new kinds every 30 s only.
    const annotations = { ...ownedBy(args.owner), "pulumi.com/deletionPropagationPolicy": "background" };
    const object = (
      suffix: string,
      kind: string,
      objectName: string,
      spec: pulumi.Input<object>,
      dependsOn: pulumi.Resource[] = [],
    ) =>
      new k8s.apiextensions.CustomResource(
        `${name}${suffix}`,
        {
          apiVersion: "networking.istio.io/v1",
          kind,
          metadata: { name: objectName, namespace, annotations },
          spec,
        },
        { parent: this, dependsOn },
      );
    const certificate = args.tls && certificateSecret(`${name}-certificate`, args, args.tls, this);
    const needed = certificate ? [certificate] : [];
    this.gateway = object("-gateway", "Gateway", "nginx-gateway", gatewaySpec(args), needed);
    const { first, apart, kept } = changeover(args.routed ?? [], args.versions);
    if (kept.length > 0) this.tellKept(kept);
    // Proxies that hear of both at once may use the one before the other.
    const once = (written: pulumi.CustomResource[], spec: object) =>
      apart ? heardOf(written).apply(() => spec) : spec;
    const subsets = (...before: pulumi.CustomResource[]) =>
      object("-subsets", "DestinationRule", "nginx", once(before, destinationRuleSpec(args, kept)), before);
    const split = (...before: pulumi.CustomResource[]) =>
      object("", "VirtualService", "nginx", once(before, virtualServiceSpec(args)), [
        this.gateway,
        ...(args.backends ?? []),
        ...before,
      ]);
    const virtualService = first === "subsets" ? split(subsets()) : split();
    if (first === "routes") subsets(virtualService);
    // When the program ends Pulumi deletes the pods of the subsets that are kept: no proxy may send requests there by then.
    const heard = kept.length > 0 ? heardOf([virtualService]) : undefined;
    this.weights = pulumi.all([specOf(virtualService), heard]).apply(([spec]) => weightsOf(spec));
    this.registerOutputs({ weights: this.weights, gateway: this.gateway });
  }

  private tellKept(kept: readonly Subset[]): void {
    const names = kept.map(({ name }) => name).join(", ");
    void pulumi.log.warn(
      `DestinationRule nginx keeps ${names} for now, because requests go there until the versions that come with this update take over; the next pulumi up removes it`,
      this,
    );
  }
}

/** How an update gets from the subsets that requests go to now to those that are wanted. */
export interface Changeover {
  /** What is written first: the DestinationRule or the VirtualService. */
  readonly first: "subsets" | "routes";
  /** True: every proxy has to have heard of the first before the second is written. */
  readonly apart: boolean;
  /** Subsets that are not wanted any more, and stay for this update. */
  readonly kept: readonly Subset[];
}

/**
 * A route to a subset that is not there answers 503: so a subset comes before its route and goes after it. When some come
 * and others go in one update, the DestinationRule is first and keeps those that go: the next update finds them unused.
 */
export function changeover(routed: readonly Subset[], wanted: readonly Subset[]): Changeover {
  const coming = without(wanted, routed);
  const going = without(routed, wanted);
  const apart = routed.length > 0 && coming.length + going.length > 0;
  if (coming.length === 0 && going.length > 0) return { first: "routes", apart, kept: [] };
  return { first: "subsets", apart, kept: going };
}

const without = (some: readonly Subset[], others: readonly Subset[]) =>
  some.filter(({ name }) => !others.some((other) => other.name === name));

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

/** Of the Service; without it, what comes in on the gateway's port 443 would go to the Service's 443. */
const PORT = { number: 80 };

/**
 * The destinations of a split, newest version first, as the article has them. A version at 0 stays in the list, so that
 * a shift changes numbers only.
 */
export function routes(
  service: string,
  versions: readonly { readonly name: string }[],
  weights: Readonly<Record<string, number>>,
): WeightedDestination[] {
  return versions
    .map(({ name }) => ({
      destination: { host: service, port: PORT, subset: name },
      weight: weights[name] ?? 0,
    }))
    .reverse();
}

/** E.g. `weights-v117-50-v116-50`: Envoy's access log and headers name the route, and so the weights that it had. */
export function routeName(route: readonly WeightedDestination[]): string {
  return ["weights", ...route.map(({ destination, weight }) => `${destination.subset}-${weight}`)].join("-");
}

/** The reverse of `routes`: version name to percent. */
export function weightsOf(spec: VirtualServiceSpec): Record<string, number> {
  const route = spec.http[0]?.route ?? [];
  return Object.fromEntries(
    route.map(({ destination, weight }) => [destination.subset, weight ?? 0] as const).reverse(),
  );
}

function virtualServiceSpec({ host, service, versions, weights }: TrafficSplitArgs): VirtualServiceSpec {
  const route = routes(service, versions, weights);
  return { hosts: [host], gateways: ["nginx-gateway"], http: [{ name: routeName(route), route }] };
}

function destinationRuleSpec({ service, versions }: TrafficSplitArgs, kept: readonly Subset[]) {
  const subsets = [...versions, ...kept]
    .map(({ name, version }) => ({ name, labels: { app: "nginx", version } }))
    .reverse();
  return { host: service, subsets };
}

function gatewaySpec({ gatewayHosts, namespace, tls }: TrafficSplitArgs) {
  const hosts = [...gatewayHosts];
  const http = { port: { number: 80, name: "http", protocol: "HTTP" }, hosts };
  const https = {
    port: { number: 443, name: "https", protocol: "HTTPS" },
    hosts,
    tls: { mode: "SIMPLE", credentialName: credentialName(namespace) },
  };
  return { selector: { istio: "ingressgateway" }, servers: tls ? [http, https] : [http] };
}

/** The gateway reads Secrets of its own namespace; the name tells whose it is. */
function certificateSecret(
  name: string,
  { namespace, owner }: TrafficSplitArgs,
  { certificate, key }: NonNullable<TrafficSplitArgs["tls"]>,
  parent: pulumi.Resource,
): k8s.core.v1.Secret {
  return new k8s.core.v1.Secret(
    name,
    {
      metadata: {
        name: credentialName(namespace),
        namespace: "istio-system",
        annotations: ownedBy(owner),
      },
      type: "kubernetes.io/tls",
      stringData: { "tls.crt": certificate, "tls.key": pulumi.secret(key) },
    },
    { parent },
  );
}

const credentialName = (namespace: pulumi.Input<string>) =>
  pulumi.interpolate`nginx-gateway-tls-${namespace}`;

/** The SDK types no fields of custom resources; what the API server holds is there all the same. */
function specOf(resource: k8s.apiextensions.CustomResource): pulumi.Output<VirtualServiceSpec> {
  return (resource as unknown as { spec: pulumi.Output<VirtualServiceSpec> }).spec;
}
