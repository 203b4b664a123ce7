/** Prometheus beside the mesh, with the lab's scrape configuration and rules. */
import { createHash } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Listen } from "../../haproxy/model.ts";
import type { GatewayRef, Weights } from "../../mesh/model.ts";
import { OBSERVABILITY_NAMESPACE } from "../../mesh/observability.ts";
import { apiVersionOf, DELETED_IN_BACKGROUND, metadataOf, NOT_AWAITED } from "../../mesh/ownedObject.ts";
import { prometheusObjects, readerBinding, readerRole, standardMetricsObject } from "./objects.ts";
import { claimOf, deploymentOf, PROMETHEUS_PORT, serviceSpec } from "./prometheus.ts";
import { prometheusRules } from "./rules.ts";
import { type HaproxyTarget, prometheusConfig } from "./scrape.ts";
import { standardMetricsFilter } from "./standardMetrics.ts";

/** Where a program that may use the API server's proxy finds Prometheus. */
export interface PrometheusRef {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  /** Seconds between two scrapes. */
  readonly scrapeSeconds: number;
  /** Workload of the ingress gateway, as the metrics name it. */
  readonly gateway: string;
  /** Backend in haproxy.cfg; the outputs of earlier versions have none. */
  readonly backend?: string;
}

export interface MonitoringArgs {
  /** Image of Prometheus 2.42 or later. */
  image: string;
  /** How long samples are kept, e.g. `24h`. */
  retention: string;
  /** The most memory that Prometheus may take, e.g. `512Mi`. */
  memory: string;
  /** Seconds between two scrapes. */
  scrapeSeconds: number;
  /** Volume of a size and class of storage. @default an emptyDir: samples go with the pod */
  storage?: { size: string; storageClass?: string | undefined } | undefined;
  /** Namespace of the application. */
  namespace: string;
  /** Weights that the rules compare shares with. */
  weights: Weights;
  /** The ingress gateway. */
  gateway: GatewayRef;
  /** Namespace of istiod. */
  istioNamespace: string;
  /** Backend in haproxy.cfg. */
  backend: string;
  /** HAProxy's exporter, as pods reach it. @default HAProxy is not scraped */
  haproxy?: HaproxyTarget | undefined;
  /** True: the proxies lack Istio's telemetry filter; Envoy's stats access logger stands in for it. */
  standIn: boolean;
  /** Further labels of each object and pod. @default none */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The stack that owns the objects. */
  owner: string;
  /** Namespace of Prometheus, as a resource. Where it is deleted, nothing in it is deleted one by one. */
  home?: pulumi.Resource | undefined;
}

/** Prometheus as a Deployment, with read access to the pods of the scraped namespaces and to nothing else. */
export class Monitoring extends pulumi.ComponentResource {
  /** Where Prometheus answers. */
  public readonly prometheus: pulumi.Output<PrometheusRef>;

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:Monitoring", name, {}, opts);
    const inHome = { parent: this, ...(args.home ? { deletedWith: args.home } : {}) };
    const { serviceAccount, configMap, claim, service } = prometheusObjects;
    const account = new k8s.core.v1.ServiceAccount(
      `${name}-account`,
      { metadata: metadataOf(serviceAccount, args) },
      inHome,
    );
    const texts = filesOf(args);
    const rights = scrapedNamespaces(args).flatMap((namespace) => readRights(name, namespace, args, this));
    const files = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      { metadata: metadataOf(configMap, args), data: texts },
      inHome,
    );
    const volume =
      args.storage &&
      new k8s.core.v1.PersistentVolumeClaim(
        `${name}-data`,
        { metadata: metadataOf(claim, args, NOT_AWAITED), spec: claimOf(args.storage) },
        inHome,
      );
    if (args.standIn) standardMetrics(name, args, this);
    const deployment = new k8s.apps.v1.Deployment(
      name,
      deploymentOf({ ...args, configHash: sha256(texts["prometheus.yml"]) }),
      {
        ...inHome,
        dependsOn: [account, files, ...rights, ...(volume ? [volume] : [])],
      },
    );
    const address = new k8s.core.v1.Service(
      name,
      { metadata: metadataOf(service, args, NOT_AWAITED), spec: serviceSpec() },
      inHome,
    );
    this.prometheus = pulumi.all([deployment.id, address.metadata.name]).apply(([, found]) => ({
      namespace: OBSERVABILITY_NAMESPACE,
      service: found,
      port: PROMETHEUS_PORT,
      scrapeSeconds: args.scrapeSeconds,
      gateway: args.gateway.service,
      backend: args.backend,
    }));
    this.registerOutputs({ prometheus: this.prometheus });
  }
}

/**
 * Where pods reach HAProxy's exporter: the address that it listens on, or the load balancer's own where it
 * listens on all; undefined where it is off or on loopback.
 */
export function exporterAddress(host: string, listen: Listen | undefined): string | undefined {
  if (!listen || /^(127\.|::1$)/.test(listen.address)) return undefined;
  const address = ["0.0.0.0", "::"].includes(listen.address) ? host : listen.address;
  return `${address.includes(":") ? `[${address}]` : address}:${listen.port}`;
}

/** Namespaces with a sidecar, a gateway or istiod in them. */
export function scrapedNamespaces({
  namespace,
  gateway,
  istioNamespace,
}: Pick<MonitoringArgs, "namespace" | "gateway" | "istioNamespace">): string[] {
  return [...new Set([namespace, gateway.namespace, istioNamespace])];
}

/** Service discovery lists and watches pods; a Role for each namespace gives no more than that. */
function readRights(
  name: string,
  namespace: string,
  args: MonitoringArgs,
  parent: pulumi.Resource,
): pulumi.Resource[] {
  const role = new k8s.rbac.v1.Role(
    `${name}-${namespace}`,
    {
      metadata: metadataOf(readerRole(namespace), args),
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] }],
    },
    { parent },
  );
  const binding = new k8s.rbac.v1.RoleBinding(
    `${name}-${namespace}`,
    {
      metadata: metadataOf(readerBinding(namespace), args),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: readerRole(namespace).name },
      subjects: [
        {
          kind: "ServiceAccount",
          name: prometheusObjects.serviceAccount.name,
          namespace: OBSERVABILITY_NAMESPACE,
        },
      ],
    },
    { parent },
  );
  return [role, binding];
}

function filesOf(args: MonitoringArgs): { "prometheus.yml": string; "rules.yml": string } {
  const { namespace, weights, gateway, istioNamespace, haproxy, scrapeSeconds, standIn } = args;
  return {
    "prometheus.yml": prometheusConfig({
      namespaces: scrapedNamespaces(args),
      gateway,
      istiodNamespace: istioNamespace,
      scrapeSeconds,
      haproxy,
      standIn,
    }),
    "rules.yml": prometheusRules({
      namespace,
      weights,
      gateway,
      haproxy: haproxy !== undefined,
      scrapeSeconds,
    }),
  };
}

/** The stand-in for Istio's telemetry filter. */
function standardMetrics(name: string, args: MonitoringArgs, parent: pulumi.Resource): void {
  const object = standardMetricsObject(args.istioNamespace);
  new k8s.apiextensions.CustomResource(
    `${name}-standard-metrics`,
    {
      apiVersion: apiVersionOf(object),
      kind: object.kind,
      metadata: metadataOf(object, args, DELETED_IN_BACKGROUND),
      spec: standardMetricsFilter(),
    },
    { parent },
  );
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);
