/** Whether another owner's routes on the same gateway take the stack's requests, or the other way round. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import type { GatewayRef } from "../../mesh/model.ts";
import { apiVersionOf, OWNED_KINDS } from "../../mesh/ownedObject.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { gatewayObject, virtualServiceObject } from "./objects.ts";

/** What the check needs of the configuration. */
export interface SharedGatewayNeeds {
  readonly namespace: string;
  readonly host: string;
  readonly gatewayHosts: readonly string[];
  readonly tls?: { readonly mode: string } | undefined;
  readonly istio: { readonly gateway: GatewayRef };
}

interface Gateway extends KubernetesObject {
  readonly spec?: {
    readonly selector?: Readonly<Record<string, string>>;
    readonly servers?: readonly {
      readonly port?: { readonly number?: number; readonly protocol?: string };
      readonly hosts?: readonly string[];
    }[];
  };
}

interface VirtualService extends KubernetesObject {
  readonly spec?: { readonly hosts?: readonly string[]; readonly gateways?: readonly string[] };
}

/**
 * Istio merges Gateways of one set of pods. Of two that serve a host on port 443 it uses one, and writes a
 * line about the other in istiod's log. Of two VirtualServices for one host it uses the routes of the older
 * one first.
 */
export async function checkSharedGateway({
  api,
  config,
}: CheckContext<SharedGatewayNeeds>): Promise<Findings> {
  const [gateways, routes] = await Promise.all([
    all<Gateway>(api, "Gateway"),
    all<VirtualService>(api, "VirtualService"),
  ]);
  const own = nameOf(gatewayObject(config.namespace));
  const sharing = gateways.filter(
    ({ metadata, spec }) =>
      nameOf(metadata) !== own && selectSamePods(spec?.selector ?? {}, config.istio.gateway.selector),
  );
  const messages = [
    ...otherProtocols(sharing, config),
    ...takenPorts(sharing, config),
    ...takenHosts(routes, sharing, config),
  ];
  return { faults: messages.map((message) => ({ key: "host", message })) };
}

/** None where the user may not list them in the whole cluster: the check is a help, not a need. */
async function all<T>(api: KubernetesApi, kind: "Gateway" | "VirtualService"): Promise<T[]> {
  const path = `/apis/${apiVersionOf(OWNED_KINDS[kind])}/${OWNED_KINDS[kind].plural}`;
  return (await api.list<T>(path).catch(() => ({ items: [] }))).items;
}

const nameOf = ({ namespace, name }: { readonly namespace?: string; readonly name: string }) =>
  `${namespace}/${name}`;

const selectSamePods = (one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>) =>
  Object.entries(one).every(([label, value]) => (other[label] ?? value) === value);

/** Of two protocols on one port, Istio uses the older Gateway's and leaves the other Gateway's server out. */
function otherProtocols(sharing: readonly Gateway[], { tls }: SharedGatewayNeeds): string[] {
  const wanted: readonly (readonly [port: number, protocols: RegExp])[] = [
    [80, /^(http|http2|grpc|grpc-web)$/i],
    ...(tls?.mode === "passthrough" ? [[443, /^(https|tls)$/i] as const] : []),
  ];
  return wanted.flatMap(([number, protocols]) =>
    sharing.flatMap(({ metadata, spec }) => {
      const other = (spec?.servers ?? []).find(
        ({ port }) => port?.number === number && port.protocol && !protocols.test(port.protocol),
      );
      if (!other) return [];
      return [
        `Gateway ${nameOf(metadata)} opens port ${number} of the same gateway for ${other.port?.protocol}, ` +
          "and Istio would leave out this stack's server there: give that Gateway another port, or delete " +
          "it, or set istio.gateway to another gateway",
      ];
    }),
  );
}

function takenPorts(sharing: readonly Gateway[], { tls, gatewayHosts }: SharedGatewayNeeds): string[] {
  if (tls?.mode !== "passthrough") return [];
  return sharing.flatMap(({ metadata, spec }) => {
    const hosts = (spec?.servers ?? [])
      .filter(({ port }) => port?.number === 443)
      .flatMap((server) => (server.hosts ?? []).map((host) => host.replace(/^.*\//, "")))
      .filter((host) => gatewayHosts.includes(host));
    if (hosts.length === 0) return [];
    return [
      `Gateway ${nameOf(metadata)} serves ${hosts.join(", ")} on port 443 of the same gateway already, ` +
        "and Istio would use one of both only: set gatewayHosts to other names, or tls.mode to terminate",
    ];
  });
}

function takenHosts(
  routes: readonly VirtualService[],
  sharing: readonly Gateway[],
  { host, namespace }: SharedGatewayNeeds,
): string[] {
  const gateways = new Set([
    ...sharing.map(({ metadata }) => nameOf(metadata)),
    nameOf(gatewayObject(namespace)),
  ]);
  const own = nameOf(virtualServiceObject(namespace));
  return routes
    .filter(({ metadata, spec }) => nameOf(metadata) !== own && spec?.hosts?.includes(host))
    .filter(({ metadata, spec }) =>
      (spec?.gateways ?? []).some((gateway) =>
        gateways.has(gateway.includes("/") ? gateway : `${metadata.namespace}/${gateway}`),
      ),
    )
    .map(
      ({ metadata }) =>
        `VirtualService ${nameOf(metadata)} routes ${host} on the same gateway already: set host to ` +
        "another name, or delete it",
    );
}
