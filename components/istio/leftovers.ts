/** Webhooks of an Istio that is gone: the API server then refuses whatever they are for. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { injectionLabel, type Selector, selects } from "../../mesh/selector.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";

/** What the check needs of the configuration. */
export interface LeftoverNeeds {
  readonly namespace: string;
  readonly istio: { readonly manage: boolean };
}

interface WebhookConfiguration extends KubernetesObject {
  readonly webhooks?: readonly {
    readonly failurePolicy?: string;
    readonly clientConfig?: { readonly service?: { readonly namespace: string; readonly name: string } };
    readonly namespaceSelector?: Selector;
  }[];
}

const KINDS = {
  mutatingwebhookconfigurations: "app=sidecar-injector",
  validatingwebhookconfigurations: "app=istiod",
} as const;

/** istioctl makes this Service, and with it whatever answers for its webhooks. */
const OWN_SERVICE = `${ISTIO_NAMESPACE}/istiod`;

/** Refuses where the update would install Istio beside webhooks that no longer have a server. */
export async function checkLeftovers({ api, config }: CheckContext<LeftoverNeeds>): Promise<Findings> {
  if (!config.istio.manage) return { faults: [] };
  const labels = { "kubernetes.io/metadata.name": config.namespace, ...injectionLabel() };
  const found = await Promise.all(
    Object.entries(KINDS).map(async ([kind, labelSelector]) => {
      const path = `/apis/admissionregistration.k8s.io/v1/${kind}`;
      // Permission to list validating webhooks is not needed otherwise.
      const { items } = await api
        .list<WebhookConfiguration>(path, { labelSelector })
        .catch(() => ({ items: [] as WebhookConfiguration[] }));
      return Promise.all(items.map((each) => messageOf(api, kind, each, labels)));
    }),
  );
  const messages = found.flat().filter((message) => message !== undefined);
  return { faults: messages.map((message) => ({ key: "istio.manage", message })) };
}

async function messageOf(
  api: KubernetesApi,
  kind: string,
  { metadata, webhooks = [] }: WebhookConfiguration,
  labels: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const services = webhooks
    .filter(({ failurePolicy }) => failurePolicy !== "Ignore")
    .filter(({ namespaceSelector = {} }) => selects(namespaceSelector, labels))
    .flatMap(({ clientConfig }) => clientConfig?.service ?? [])
    .filter(({ namespace, name }) => `${namespace}/${name}` !== OWN_SERVICE);
  for (const { namespace, name } of services) {
    if (await api.metadata(`/api/v1/namespaces/${namespace}/services/${name}`)) continue;
    return (
      `${kind.replace(/s$/, "")} ${metadata.name} is left of an Istio that is gone: its Service ` +
      `${namespace}/${name} does not exist, and the API server refuses what it is for: delete it (kubectl ` +
      `delete ${kind} ${metadata.name})`
    );
  }
  return undefined;
}
