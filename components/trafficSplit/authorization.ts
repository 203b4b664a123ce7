/** Whether AuthorizationPolicies refuse every request on its way through the gateway to the application. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { type GatewayRef, ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { type Labels, selects } from "../../mesh/selector.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { podLabels } from "../webApp/pod.ts";

/** What the check needs of the configuration. */
export interface AuthorizationNeeds {
  readonly namespace: string;
  readonly labels?: Labels | undefined;
  readonly versions: readonly { readonly version: string }[];
  readonly istio: { readonly gateway: GatewayRef };
}

/** As the API server has it. */
export interface AuthorizationPolicy extends KubernetesObject {
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Labels };
    readonly targetRef?: object;
    readonly targetRefs?: readonly object[];
    /** @default ALLOW */
    readonly action?: string;
    readonly rules?: readonly object[];
  };
}

/** Policies here apply to pods of every namespace. */

/**
 * The policies that refuse every request to these pods. A policy to deny does so by a rule without
 * conditions. Policies to allow do so together, where none of them has a rule. Which requests a rule with
 * conditions is for is not judged.
 */
export function policiesAgainst(
  policies: readonly AuthorizationPolicy[],
  { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
): string[] {
  const applying = policies.filter(
    ({ metadata, spec = {} }) =>
      [ISTIO_NAMESPACE, namespace].includes(metadata.namespace ?? "") &&
      spec.targetRef === undefined &&
      !spec.targetRefs?.length &&
      selects(spec.selector ?? {}, labels),
  );
  const having = (action: string) => applying.filter(({ spec = {} }) => (spec.action ?? "ALLOW") === action);
  const denying = having("DENY").filter(({ spec = {} }) =>
    spec.rules?.some((rule) => Object.keys(rule).length === 0),
  );
  const allowing = having("ALLOW");
  const nothing = allowing.every(({ spec = {} }) => !spec.rules?.length) ? allowing : [];
  return [...denying, ...nothing].map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

/** Refuses where every request would get 403. */
export async function checkAuthorization({
  api,
  config,
}: CheckContext<AuthorizationNeeds>): Promise<Findings> {
  const { namespace, labels, versions, istio } = config;
  const { gateway } = istio;
  const places = [...new Set([ISTIO_NAMESPACE, gateway.namespace, namespace])];
  const policies = (await Promise.all(places.map((place) => policiesOf(api, place)))).flat();
  const pods = [
    { namespace: gateway.namespace, labels: gateway.selector },
    ...versions.map(({ version }) => ({ namespace, labels: { ...labels, ...podLabels(version) } })),
  ];
  const names = [...new Set(pods.flatMap((each) => policiesAgainst(policies, each)))];
  if (names.length === 0) return { faults: [] };
  const message =
    `AuthorizationPolicy ${names.join(", ")} refuses every request to the gateway or to the application, ` +
    "which would get 403: allow these requests by another AuthorizationPolicy (see " +
    "https://istio.io/latest/docs/reference/config/security/authorization-policy/), or delete it";
  return { faults: [{ key: "namespace", message }] };
}

/** None where the user may not list them, or where the cluster has no Istio yet. */
async function policiesOf(api: KubernetesApi, namespace: string): Promise<AuthorizationPolicy[]> {
  const path = `/apis/security.istio.io/v1/namespaces/${namespace}/authorizationpolicies`;
  return (await api.list<AuthorizationPolicy>(path).catch(() => ({ items: [] }))).items;
}
