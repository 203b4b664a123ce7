/** Whether NetworkPolicies keep requests from the application, on a network that enforces them. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { namespaceLabels } from "../../clients/namespaceLabels.ts";
import { type GatewayRef, ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { injectionLabel, type Labels, restrictedTo, type Selector, selects } from "../../mesh/selector.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { podLabels } from "./pod.ts";

/** What the check needs of the configuration. */
export interface NetworkPolicyNeeds {
  readonly namespace: string;
  readonly labels?: Labels | undefined;
  readonly versions: readonly { readonly version: string }[];
  readonly istio: {
    readonly gateway?: GatewayRef | undefined;
    readonly manage?: boolean | undefined;
    readonly revision?: string | undefined;
  };
}

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: object;
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly {
    readonly protocol?: string;
    readonly port?: number | string;
    readonly endPort?: number;
  }[];
}

/** As the API server has it. */
export interface NetworkPolicy extends KubernetesObject {
  readonly spec?: {
    readonly podSelector?: Selector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

/** Pods of one kind. */
export interface Pods {
  readonly namespace: string;
  readonly namespaceLabels: Labels;
  /** Those that are known. */
  readonly labels: Labels;
}

/** Traffic of some pods, seen from their side. */
export interface Traffic {
  readonly direction: "Ingress" | "Egress";
  readonly pods: Pods;
  /** Undefined: an address outside the cluster. */
  readonly peer: Pods | undefined;
  /** Of the pods that are connected to; undefined: not known. */
  readonly port: number | undefined;
}

/** The policies that together let nothing of it pass; none where one of them does, or none is concerned. */
export function policiesAgainst(policies: readonly NetworkPolicy[], traffic: Traffic): string[] {
  const { direction, pods, peer } = traffic;
  const concerned = policies.filter(
    ({ metadata, spec = {} }) =>
      metadata.namespace === pods.namespace &&
      (spec.policyTypes ?? ["Ingress"]).includes(direction) &&
      selects(spec.podSelector ?? {}, pods.labels),
  );
  const passes = concerned.some(({ spec = {} }) =>
    ((direction === "Ingress" ? spec.ingress : spec.egress) ?? []).some((rule) => {
      const peers = (direction === "Ingress" ? rule.from : rule.to) ?? [];
      return (
        isPort(rule, traffic.port) && (peers.length === 0 || peers.some((each) => isPeer(each, peer, pods)))
      );
    }),
  );
  return passes ? [] : concerned.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

function isPort({ ports = [] }: Rule, wanted: number | undefined): boolean {
  if (ports.length === 0 || wanted === undefined) return true;
  return ports.some(({ protocol = "TCP", port, endPort }) => {
    if (protocol !== "TCP") return false;
    if (typeof port !== "number") return true;
    return endPort === undefined ? port === wanted : port <= wanted && wanted <= endPort;
  });
}

/** Which pods an address belongs to is not known here, so that any block of addresses counts as theirs. */
function isPeer({ ipBlock, namespaceSelector, podSelector = {} }: Peer, peer: Pods | undefined, pods: Pods) {
  if (ipBlock !== undefined || peer === undefined) return ipBlock !== undefined;
  const isNamespace = namespaceSelector
    ? selects(namespaceSelector, peer.namespaceLabels)
    : peer.namespace === pods.namespace;
  return isNamespace && selects(restrictedTo(podSelector, peer.labels), peer.labels);
}

/** Warns of each way of the requests that NetworkPolicies close, and of the sidecars' to istiod. */
export async function checkNetworkPolicies({
  api,
  config,
}: CheckContext<NetworkPolicyNeeds>): Promise<Findings> {
  const { namespace, labels, versions, istio } = config;
  const { gateway } = istio;
  if (!gateway) return { faults: [] };
  const places = [...new Set([namespace, gateway.namespace, ...(istio.manage ? [ISTIO_NAMESPACE] : [])])];
  const [policies, namespaces] = await Promise.all([
    Promise.all(places.map((place) => policiesOf(api, place))),
    Promise.all(places.map(async (place) => [place, await namespaceLabels(api, place)] as const)),
  ]);
  const labelsOf = new Map(namespaces);
  // A policy may select by the label that the update sets.
  labelsOf.set(namespace, { ...labelsOf.get(namespace), ...injectionLabel(istio.revision) });
  const podsOf = (place: string, labels: Labels): Pods => ({
    namespace: place,
    namespaceLabels: labelsOf.get(place) ?? {},
    labels,
  });
  const door = podsOf(gateway.namespace, gateway.selector);
  const against = (direction: Traffic["direction"], pods: Pods, peer: Pods | undefined, port?: number) =>
    policiesAgainst(policies.flat(), { direction, pods, peer, port });
  const found = new Map<string, Set<string>>();
  const note = (names: readonly string[], what: string) => {
    if (names.length > 0) found.set(what, new Set([...(found.get(what) ?? []), ...names]));
  };
  for (const { version } of versions) {
    const app = podsOf(namespace, { ...labels, ...podLabels(version) });
    const gatewayNames = `the gateway's pods in namespace ${gateway.namespace}`;
    note(
      against("Ingress", app, door, 80),
      `requests of ${gatewayNames} to port 80 of the application's pods`,
    );
    note(
      against("Egress", door, app, 80),
      `requests of ${gatewayNames} to port 80 of namespace ${namespace}`,
    );
    note(against("Ingress", door, undefined), `connections from outside the cluster to ${gatewayNames}`);
    if (istio.manage)
      note(
        against("Egress", app, podsOf(ISTIO_NAMESPACE, { app: "istiod" }), 15012),
        `connections of the application's sidecars to port 15012 of istiod in namespace ${ISTIO_NAMESPACE}`,
      );
  }
  return { faults: [], warnings: [...found].map(([what, names]) => warning([...names], what)) };
}

const warning = (names: readonly string[], what: string) =>
  `NetworkPolicy ${names.join(", ")} lets no ${what} pass: where the cluster's network enforces it, ` +
  "requests fail (503 or no answer); allow them by a rule of it";

/** None where the user may not list them: the check is a help, not a need. */
async function policiesOf(api: KubernetesApi, namespace: string): Promise<NetworkPolicy[]> {
  const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
  return (await api.list<NetworkPolicy>(path).catch(() => ({ items: [] }))).items;
}
