/** Whether an Istio that is there already can be used: its sidecars, its istiod, its gateway. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { portFault, type ServicePort } from "../../mesh/gatewayPorts.ts";
import type { GatewayRef } from "../../mesh/model.ts";
import type { Labels } from "../../mesh/selector.ts";
import {
  type ControlPlane,
  DEFAULT_REVISION,
  type Injector,
  isAvailable,
  isScaledToZero,
  nameOf,
  revisionOf,
  servesRevision,
} from "./installed.ts";

/** The gateway's Service. */
export interface GatewayService extends KubernetesObject {
  readonly spec?: {
    readonly ports?: readonly ServicePort[];
    readonly externalTrafficPolicy?: string;
    readonly selector?: Labels;
  };
}

/** What was found. */
export interface Existing {
  readonly planes: readonly ControlPlane[];
  readonly injectors: readonly Injector[];
  /** The gateway's. */
  readonly service: GatewayService | undefined;
  /** Services that could be a gateway's. */
  readonly candidates: readonly string[];
}

/** How each fault of it begins. */
export const GIVEN = "istio.manage is false, and";
const INSTALL = "set istio.manage to true to have Istio installed, or install it first";

/** What an Istio that is there already has to have: sidecars of the revision, by an istiod, and a gateway. */
export function existingIstio(
  { planes, injectors, service, candidates }: Existing,
  { revision, gateway }: { readonly revision?: string | undefined; readonly gateway: GatewayRef },
): { faults: string[]; warnings?: string[] } {
  if (injectors.length === 0)
    return { faults: [`${GIVEN} the cluster has no Istio that injects sidecars: ${INSTALL}`] };
  const ofGateway = service
    ? [...unusablePorts(service, gateway), ...otherPods(service, gateway)]
    : [missingGateway(gateway, candidates)];
  const name = revision ?? DEFAULT_REVISION;
  const injector = injectors.find((each) => each.name === name);
  if (!injector) return { faults: [missingRevision(revision, injectors), ...ofGateway] };
  const serving = planes.filter((plane) => servesRevision(plane, revisionOf(injectors, name)));
  const running = serving.filter((plane) => !isScaledToZero(plane));
  if (serving.length === 0) return { faults: [withoutIstiod(injector, planes), ...ofGateway] };
  if (running.length === 0) return { faults: [scaledToZero(serving), ...ofGateway] };
  return {
    faults: ofGateway,
    warnings: running.some(isAvailable) ? [] : [unavailable(running.map(nameOf))],
  };
}

function missingRevision(revision: string | undefined, injectors: readonly Injector[]): string {
  const wanted = revision === undefined ? "the default revision" : `revision ${revision}`;
  const names = injectors.map(({ name }) => name).join(", ");
  return `${GIVEN} the cluster has no Istio of ${wanted}: set istio.revision to one that it has (${names})`;
}

/** Webhooks, tags and gateways stay where an istiod is deleted. */
function withoutIstiod({ name, revision }: Injector, planes: readonly ControlPlane[]): string {
  const all = planes.map(({ metadata }) => metadata.labels?.["istio.io/rev"] ?? DEFAULT_REVISION);
  if (all.length === 0)
    return (
      `${GIVEN} the cluster has no istiod (kubectl get deployments --all-namespaces ` +
      `--selector=app=istiod): ${INSTALL}`
    );
  const others = `set istio.revision to another one (istiod is there of ${all.join(", ")})`;
  return name === revision
    ? `${GIVEN} revision ${revision} has a webhook and no istiod, so that no pod would start: ${others}`
    : `${GIVEN} tag ${name} stands for revision ${revision}, which has no istiod, so that no pod would ` +
        `start: move the tag (istioctl tag set ${name} --revision=REVISION --overwrite), or ${others}`;
}

const scaledToZero = (planes: readonly ControlPlane[]) =>
  `${GIVEN} its istiod is scaled to 0: ` +
  planes
    .map(
      ({ metadata }) =>
        `kubectl scale --replicas=1 deployment ${metadata.name} --namespace=${metadata.namespace}`,
    )
    .join("; ");

const unavailable = (names: readonly string[]) =>
  `no istiod is available (${names.join(", ")}): the update waits 300 s for one; look with ` +
  "kubectl get pods --all-namespaces --selector=app=istiod";

const missingGateway = ({ namespace, service }: GatewayRef, candidates: readonly string[]) =>
  `${GIVEN} the cluster has no Service ${namespace}/${service}: set istio.gateway to the namespace, ` +
  `service and selector of a gateway that it has${listed(candidates)}, or install one first`;

/** A gateway without NodePorts, such as one of type ClusterIP, cannot be reached from the load balancer. */
function unusablePorts({ spec }: GatewayService, { namespace, service }: GatewayRef): string[] {
  const faults = (["http2", "status-port"] as const).map((which) =>
    portFault(spec?.ports, which, `${namespace}/${service}`),
  );
  return faults.flatMap((fault) => (fault ? [`${GIVEN} ${fault}`] : []));
}

/**
 * The Gateway is for the pods of its selector. Where these are not the Service's pods, each request gets 404.
 */
function otherPods({ spec }: GatewayService, { namespace, service, selector }: GatewayRef): string[] {
  const pods = spec?.selector ?? {};
  if (Object.entries(selector).every(([label, value]) => (pods[label] ?? value) === value)) return [];
  const words = (labels: Labels) => Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  return [
    `${GIVEN} istio.gateway.selector is ${words(selector).join(",")}, and the pods of Service ` +
      `${namespace}/${service} have other labels: set istio.gateway.selector to some of theirs ` +
      `(${words(pods).join(", ")})`,
  ];
}

/** Services that are labelled as Istio's charts label those of gateways; only a hint. */
export async function gatewaysOf(api: KubernetesApi): Promise<string[]> {
  const services = await api
    .listMetadata("/api/v1/services", { labelSelector: "istio" })
    .catch(() => undefined);
  return (services?.items ?? [])
    .filter(({ metadata }) => metadata.labels?.istio !== "pilot")
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

const listed = (names: readonly string[]) => (names.length > 0 ? ` (${names.join(", ")})` : "");
