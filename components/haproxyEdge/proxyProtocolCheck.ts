/** Whether the gateway reads the PROXY protocol already, and whether it refuses connections without it. */
import { parse } from "yaml";
import { type KubernetesApi, type KubernetesObject, unlessForbidden } from "../../clients/kubernetes.ts";
import type { GatewayRef } from "../../mesh/model.ts";
import { metadataOf, pathOf } from "../../mesh/ownedObject.ts";
import type { ProxiedPort } from "../../mesh/proxyProtocol.ts";
import { selects } from "../../mesh/selector.ts";
import type { CheckContext, Findings, Trial } from "../../preflight/capability.ts";
import { NO_ISTIOD_YET } from "../trafficSplit/trials.ts";
import { type ProxyProtocolNeeds, proxiedPorts, proxyProtocolObject, specOf } from "./proxyProtocol.ts";

export interface ProxyProtocolFacts {
  /** Where this stack has the gateway read it. */
  readonly readsProxy: readonly ProxiedPort[];
}

/** Ports as Istio's profiles have them: the true ones are known when there is a gateway. */
const USUAL = { http: 8080, https: 8443 };

/** The API server of an Istio that is too old refuses a patch of a listener's filters. */
export function proxyProtocolTrials(
  config: ProxyProtocolNeeds & { readonly labels?: Readonly<Record<string, string>> | undefined },
  owner: string,
): Trial[] {
  const { namespace, istio, labels } = config;
  return proxiedPorts(config).map((port) => {
    const object = proxyProtocolObject(port, namespace, istio.gateway);
    const body = { metadata: metadataOf(object, { owner, labels }), spec: specOf(port, istio, USUAL) };
    return { object, body, tolerates: istio.manage ? NO_ISTIOD_YET : undefined };
  });
}

export async function checkProxyProtocol({
  api,
  config,
}: CheckContext<ProxyProtocolNeeds>): Promise<Findings<ProxyProtocolFacts>> {
  const { namespace, istio } = config;
  const sent = proxiedPorts(config);
  const [found, demands] = await Promise.all([
    Promise.all(
      sent.map((port) => api.metadata(pathOf(proxyProtocolObject(port, namespace, istio.gateway)))),
    ),
    istio.manage || sent.includes("http") ? [] : demandingWorkloads(api, istio.gateway),
  ]);
  const messages = demands.map(
    (name) =>
      `the gateway (${name}) refuses connections without the PROXY protocol ` +
      "(gatewayTopology.proxyProtocol): set loadBalancer.proxyProtocol to true",
  );
  return {
    faults: messages.map((message) => ({ key: "loadBalancer.proxyProtocol", message })),
    facts: { readsProxy: sent.filter((_, index) => found[index] !== undefined) },
  };
}

interface Workload extends KubernetesObject {
  readonly spec?: {
    readonly template?: {
      readonly metadata?: {
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
      };
    };
  };
}

/** Deployments of the gateway whose proxy is set to the protocol. */
async function demandingWorkloads(
  api: KubernetesApi,
  { namespace, selector }: GatewayRef,
): Promise<string[]> {
  const list = await unlessForbidden(api.list<Workload>(`/apis/apps/v1/namespaces/${namespace}/deployments`));
  return (list?.items ?? [])
    .filter(({ spec }) => {
      const { labels = {}, annotations = {} } = spec?.template?.metadata ?? {};
      return selects({ matchLabels: selector }, labels) && demands(annotations["proxy.istio.io/config"]);
    })
    .map(({ metadata }) => `Deployment ${metadata.namespace}/${metadata.name}`);
}

/** @param text the proxy's configuration, in YAML */
function demands(text: string | undefined): boolean {
  try {
    const config = parse(text ?? "") as { gatewayTopology?: { proxyProtocol?: unknown } } | null;
    return config?.gatewayTopology?.proxyProtocol !== undefined;
  } catch {
    return false;
  }
}
