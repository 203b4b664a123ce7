/** Prometheus and Zipkin, each where the settings turn it on, in a namespace of their own. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { backendName, type Listen } from "../../haproxy/model.ts";
import { responseTimePaths } from "../../haproxy/responseTimes.ts";
import { type GatewayRef, ISTIO_NAMESPACE, type Weights } from "../../mesh/model.ts";
import { OBSERVABILITY_NAMESPACE, observabilityNamespace } from "../../mesh/observability.ts";
import { metadataOf, POD_DELETION_LIMIT } from "../../mesh/ownedObject.ts";
import type { MonitoringSettings } from "../monitoring/config.ts";
import { exporterAddress, Monitoring, type PrometheusRef } from "../monitoring/monitoring.ts";
import type { TracingSettings } from "../tracing/config.ts";
import { Tracing, type ZipkinRef } from "../tracing/tracing.ts";

export interface ObservabilityArgs {
  /** @default no metrics */
  monitoring?: MonitoringSettings | undefined;
  /** @default no traces */
  tracing?: TracingSettings | undefined;
  /** Namespace of the application. */
  namespace: string;
  /** Weights that the rules compare shares with. */
  weights: Weights;
  /** The ingress gateway. */
  gateway: GatewayRef;
  /** The load balancer, where its exporter listens, whether it serves others too, and its servers. */
  loadBalancer: {
    host: string;
    exporter?: Listen | undefined;
    mode?: "file" | "include" | undefined;
    servers: readonly string[];
  };
  /** Further labels of each object and pod. @default none */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The stack that owns the objects. */
  owner: string;
}

/** A Prometheus that was there before the program. */
export interface PrometheusUrl {
  readonly url: string;
  /** Seconds between two scrapes. */
  readonly scrapeSeconds: number;
  /** Workload of the ingress gateway, as the metrics name it. */
  readonly gateway: string;
  /** Backend in haproxy.cfg; the outputs of earlier versions have none. */
  readonly backend?: string;
}

/** What shows the requests. Without settings it is empty. */
export class Observability extends pulumi.ComponentResource {
  /** Where Prometheus answers; undefined where monitoring is off. */
  public readonly monitoring: pulumi.Output<PrometheusRef | PrometheusUrl | undefined>;
  /** Where Zipkin answers; undefined where the program deploys none. */
  public readonly tracing: pulumi.Output<ZipkinRef | undefined>;
  /** The namespace that the component makes; undefined where it deploys nothing. */
  public readonly namespace: string | undefined;

  constructor(name: string, args: ObservabilityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:Observability", name, {}, opts);
    const { monitoring, tracing } = args;
    const wanted = monitoring?.deployed ?? tracing?.image;
    this.namespace = wanted === undefined ? undefined : OBSERVABILITY_NAMESPACE;
    const home = wanted === undefined ? undefined : createNamespace(name, args, this);
    const opened = { parent: this, dependsOn: home ? [home] : [] };
    this.monitoring = pulumi.output(createMonitoring({ ...args, home }, opened));
    const { namespace, gateway, labels, owner } = args;
    this.tracing = pulumi.output(
      tracing &&
        new Tracing("tracing", { ...tracing, namespace, gateway, labels, owner, home }, opened).zipkin,
    );
    this.registerOutputs({ monitoring: this.monitoring, tracing: this.tracing, namespace: this.namespace });
  }
}

function createNamespace(
  name: string,
  { labels, owner }: ObservabilityArgs,
  parent: pulumi.Resource,
): pulumi.Resource {
  const all = { ...labels, "pod-security.kubernetes.io/enforce": "restricted" };
  return new k8s.core.v1.Namespace(
    name,
    { metadata: metadataOf(observabilityNamespace, { owner, labels: all }) },
    { parent, customTimeouts: POD_DELETION_LIMIT },
  );
}

function createMonitoring(
  {
    monitoring,
    namespace,
    weights,
    gateway,
    loadBalancer,
    labels,
    owner,
    home,
  }: ObservabilityArgs & { readonly home: pulumi.Resource | undefined },
  opts: pulumi.ComponentResourceOptions,
): pulumi.Output<PrometheusRef | PrometheusUrl> | undefined {
  const { deployed, url, scrapeSeconds, standIn } = monitoring ?? {};
  const backend = backendName(owner, loadBalancer.mode === "include");
  if (scrapeSeconds === undefined) return undefined;
  if (url !== undefined) return pulumi.output({ url, scrapeSeconds, gateway: gateway.service, backend });
  if (!deployed) return undefined;
  const address = exporterAddress(loadBalancer.host, loadBalancer.exporter);
  const args = {
    ...deployed,
    scrapeSeconds,
    standIn: standIn ?? false,
    namespace,
    weights,
    gateway,
    istioNamespace: ISTIO_NAMESPACE,
    backend,
    haproxy: address ? { address, responseTimes: responseTimePaths(loadBalancer.servers) } : undefined,
    labels,
    owner,
    home,
  };
  return new Monitoring("monitoring", args, opts).prometheus;
}
