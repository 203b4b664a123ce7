/** Whether an Istio that is there already can be used: its sidecars, its istiod, its gateway. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { portFault, type ServicePort } from "../../mesh/gatewayPorts.ts";
import type { GatewayRef } from "../../mesh/model.ts";
import { injectionLabel, type Labels } from "../../mesh/selector.ts";
import {
  type ControlPlane,
  DEFAULT_REVISION,
  type Injector,
  isAvailable,
  isExternal,
  isScaledToZero,
  nameOf,
  revisionOf,
  servesRevision,
  takes,
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
  /** False: the API server does not serve the version of Istio's kinds that the program writes. */
  readonly servesKinds: boolean;
  /** Labels of the application's namespace and of its pods. */
  readonly labels: { readonly namespace: Labels; readonly pod: Labels };
}

/** The version in which the program writes Istio's kinds. */
export const API_OF_KINDS = "/apis/networking.istio.io/v1";

/** How each fault of it begins. */
export const GIVEN = "istio.manage is false, and";
const INSTALL = "set istio.manage to true to have Istio installed, or install it first";

/** What an Istio that is there already has to have: sidecars of the revision, by an istiod, and a gateway. */
export function existingIstio(
  found: Existing,
  { revision, gateway }: { readonly revision?: string | undefined; readonly gateway: GatewayRef },
): { faults: string[]; warnings?: string[] } {
  const { injectors, service, candidates } = found;
  if (injectors.length === 0)
    return { faults: [`${GIVEN} the cluster has no Istio that injects sidecars: ${INSTALL}`] };
  const others = [
    ...(found.servesKinds ? [] : [TOO_OLD]),
    ...(service
      ? [...unusablePorts(service, gateway), ...otherPods(service, gateway)]
      : [missingGateway(gateway, candidates)]),
  ];
  const injector = injectors.find(({ name }) => name === (revision ?? DEFAULT_REVISION));
  if (!injector) return { faults: [missingRevision(revision, injectors), ...others] };
  const leftOut = isLeftOut(injector, found.labels, revision) ? [leavesOut(injector)] : [];
  const { faults, warnings = [] } = controlPlaneOf(injector, found);
  return { faults: [...faults, ...leftOut, ...others], warnings };
}

/** Faults and warnings about the istiod behind an injector; one outside the cluster cannot be looked at. */
function controlPlaneOf(injector: Injector, { planes, injectors }: Existing) {
  if (isExternal(injector)) return { faults: [] };
  const serving = planes.filter((plane) => servesRevision(plane, revisionOf(injectors, injector.name)));
  const running = serving.filter((plane) => !isScaledToZero(plane));
  if (serving.length === 0) return { faults: [withoutIstiod(injector, planes)] };
  if (running.length === 0) return { faults: [scaledToZero(serving)] };
  return { faults: [], warnings: running.some(isAvailable) ? [] : [unavailable(running.map(nameOf))] };
}

const TOO_OLD =
  `${GIVEN} the cluster does not serve networking.istio.io/v1, in which Istio's objects are written: ` +
  "upgrade Istio, and its CustomResourceDefinitions (chart istio/base), to 1.22 or later";

/**
 * By other labels than those of injection: Istio's charts, and clouds, leave out some namespaces and pods.
 */
function isLeftOut(injector: Injector, { namespace, pod }: Existing["labels"], revision: string | undefined) {
  const { "istio-injection": _, "istio.io/rev": __, ...others } = namespace;
  return !takes(injector, { ...others, ...injectionLabel(revision) }, pod);
}

const leavesOut = ({ name, configuration }: Injector) =>
  `${GIVEN} the webhooks of revision ${name} leave out the application's pods, so that they would get no ` +
  "sidecars: give namespace and pods (setting labels) the labels that these webhooks select (kubectl get " +
  `mutatingwebhookconfiguration ${configuration} --output=yaml), or set istio.revision to another one`;

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
