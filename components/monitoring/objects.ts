/** The objects of monitoring: Prometheus in its own namespace, its rights in the namespaces it scrapes. */
import { OBSERVABILITY_NAMESPACE } from "../../mesh/observability.ts";
import { type OwnedObject, ownedObject } from "../../mesh/ownedObject.ts";

const NAME = "prometheus";
/** Name of the Role and RoleBinding in a namespace that is scraped. */
const READER = "istio-lab-prometheus";

const inOwn = (kind: Parameters<typeof ownedObject>[0]) => ownedObject(kind, OBSERVABILITY_NAMESPACE, NAME);

export const prometheusObjects = {
  serviceAccount: inOwn("ServiceAccount"),
  configMap: inOwn("ConfigMap"),
  claim: inOwn("PersistentVolumeClaim"),
  deployment: inOwn("Deployment"),
  service: inOwn("Service"),
};

export const readerRole = (namespace: string) => ownedObject("Role", namespace, READER);
export const readerBinding = (namespace: string) => ownedObject("RoleBinding", namespace, READER);

/** Makes plain proxies report Istio's standard metrics. */
export const standardMetricsObject = (istioNamespace: string) =>
  ownedObject("EnvoyFilter", istioNamespace, "istio-lab-standard-metrics");

export interface MonitoringObjectsArgs {
  /** Namespaces whose pods are scraped. */
  readonly scraped: readonly string[];
  /** Namespace of istiod. */
  readonly istioNamespace: string;
  /** True: Prometheus' data outlive its pod. */
  readonly claim: boolean;
  /** True: the proxies lack Istio's telemetry filter. */
  readonly standIn: boolean;
}

/** Everything that monitoring owns besides the namespace. */
export function monitoringObjects({
  scraped,
  istioNamespace,
  claim,
  standIn,
}: MonitoringObjectsArgs): OwnedObject[] {
  const { claim: volumeClaim, ...always } = prometheusObjects;
  return [
    ...Object.values(always),
    ...(claim ? [volumeClaim] : []),
    ...scraped.flatMap((namespace) => [readerRole(namespace), readerBinding(namespace)]),
    ...(standIn ? [standardMetricsObject(istioNamespace)] : []),
  ];
}
