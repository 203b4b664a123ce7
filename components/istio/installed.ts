/** The Istio that is in a cluster: its control planes, and the revisions and tags that inject sidecars. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { type Labels, type Selector, selects } from "../../mesh/selector.ts";

/** The Deployment of an istiod. */
export interface ControlPlane extends KubernetesObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
  readonly status?: { readonly availableReplicas?: number };
}

/** What a namespace gets its sidecars by: a revision, or a tag that stands for one. */
export interface Injector {
  readonly name: string;
  /** The same as the name, or the revision that the tag stands for. */
  readonly revision: string;
  /** Name of its MutatingWebhookConfiguration. */
  readonly configuration: string;
  /** Undefined: not known. */
  readonly webhooks?: readonly Webhook[] | undefined;
}

interface Webhook {
  readonly namespaceSelector?: Selector;
  readonly objectSelector?: Selector;
  readonly clientConfig?: { readonly url?: string };
}

interface WebhookConfiguration extends KubernetesObject {
  readonly webhooks?: readonly Webhook[];
}

export const DEFAULT_REVISION = "default";

/** Every istiod of the cluster. */
export async function controlPlanes(api: KubernetesApi): Promise<ControlPlane[]> {
  return (await api.list<ControlPlane>("/apis/apps/v1/deployments", { labelSelector: "app=istiod" })).items;
}

/** By name. Where a tag and a revision have the same name, the tag counts, as for Istio's webhooks. */
export async function injectorsOf(api: KubernetesApi): Promise<Injector[]> {
  const { items } = await api.list<WebhookConfiguration>(
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    { labelSelector: "app=sidecar-injector" },
  );
  const found = items.map(({ metadata: { name: configuration, labels = {} }, webhooks }) => {
    const { "istio.io/rev": revision = DEFAULT_REVISION, "istio.io/tag": tag } = labels;
    return { name: tag ?? revision, revision, configuration, webhooks, isTag: tag !== undefined };
  });
  found.sort((a, b) => Number(a.isTag) - Number(b.isTag));
  const byName = new Map(found.map(({ isTag: _, ...injector }) => [injector.name, injector]));
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** True: its istiod runs outside the cluster. */
export const isExternal = ({ webhooks = [] }: Injector) =>
  webhooks.some(({ clientConfig }) => clientConfig?.url !== undefined);

/** Whether one of its webhooks is for a pod with these labels in a namespace with those. */
export const takes = ({ webhooks }: Injector, namespace: Labels, pod: Labels) =>
  webhooks === undefined ||
  webhooks.some(
    ({ namespaceSelector = {}, objectSelector = {} }) =>
      selects(namespaceSelector, namespace) && selects(objectSelector, pod),
  );

/** The revision that a tag stands for; a name that is no tag is a revision. */
export const revisionOf = (injectors: readonly Injector[], name: string) =>
  injectors.find((injector) => injector.name === name)?.revision ?? name;

/** An istiod without the label may be of any revision. */
export const servesRevision = ({ metadata }: ControlPlane, revision: string) =>
  (metadata.labels?.["istio.io/rev"] ?? revision) === revision;

export const isAvailable = ({ status }: ControlPlane) => (status?.availableReplicas ?? 0) > 0;

export const isScaledToZero = ({ spec }: ControlPlane) => spec?.replicas === 0;

export const nameOf = ({ metadata }: ControlPlane) => `${metadata.namespace}/${metadata.name}`;
