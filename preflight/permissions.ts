/** Whether the user may do what the program does. */
import type { KubernetesApi } from "../clients/kubernetes.ts";

/** Verbs on one resource. */
interface Need {
  readonly verbs: readonly string[];
  readonly group: string;
  readonly resource: string;
  /** Empty: the whole cluster. */
  readonly namespace: string;
  readonly name?: string;
}

export interface PermissionsArgs {
  /** Namespace of the application. */
  readonly namespace: string;
  /** True: Istio is installed, changed and uninstalled. */
  readonly manage: boolean;
  /** True: the cluster's nodes are listed. */
  readonly wantNodes: boolean;
  /** True: the gateway's certificate goes into a Secret beside it. */
  readonly gatewayTls: boolean;
}

/** What the user may not do, in one line; nobody who may do everything is asked further. */
export async function permissionFaults(api: KubernetesApi, args: PermissionsArgs): Promise<string[]> {
  if (await isAllowed(api, "*", { group: "*", resource: "*", namespace: "" })) return [];
  const refused = (
    await Promise.all(
      needs(args).map(async (need) => {
        const answers = await Promise.all(need.verbs.map((verb) => isAllowed(api, verb, need)));
        const verbs = need.verbs.filter((_, index) => !answers[index]);
        return verbs.length === 0 ? [] : [`${verbs.join(", ")} ${described(need)}`];
      }),
    )
  ).flat();
  if (refused.length === 0) return [];
  return [
    `${api.where} does not allow this user to ${refused.join("; ")}: have these allowed, or use a context whose user has the cluster role cluster-admin`,
  ];
}

async function isAllowed(api: KubernetesApi, verb: string, need: Omit<Need, "verbs">): Promise<boolean> {
  const { group, resource, namespace, name } = need;
  const review = await api.create<{ status?: { allowed?: boolean } }>(
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: {
        resourceAttributes: {
          verb,
          group,
          resource,
          ...(namespace ? { namespace } : {}),
          ...(name ? { name } : {}),
        },
      },
    },
  );
  return review.status?.allowed === true;
}

const described = ({ group, resource, namespace, name }: Need) =>
  [
    group ? `${resource}.${group}` : resource,
    ...(name ? [name] : []),
    ...(namespace ? [`in namespace ${namespace}`] : []),
  ].join(" ");

function needs({ namespace, manage, wantNodes, gatewayTls }: PermissionsArgs): Need[] {
  const own = ["get", "create", "patch", "delete"];
  const need = (verbs: readonly string[], resources: string, where = "", name?: string): Need => {
    const [resource = "", ...group] = resources.split(".");
    return { verbs, resource, group: group.join("."), namespace: where, ...(name ? { name } : {}) };
  };
  return [
    need(["get"], "namespaces", "", "kube-system"),
    need(["get", "patch"], "namespaces", "", namespace),
    ...(wantNodes ? [need(["list"], "nodes")] : []),
    need([...own, "list", "watch"], "deployments.apps", namespace),
    need(["list", "watch"], "pods", namespace),
    ...["configmaps", "services", ...ROUTING].map((resource) => need(own, resource, namespace)),
    ...(gatewayTls ? [need(own, "secrets", "istio-system")] : []),
    need(["list"], "deployments.apps"),
    need(["get"], "services", "istio-system"),
    need(["list"], "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
    ...(manage ? [...OF_ISTIO_CLUSTER.map((resource) => need(own, resource))] : []),
    ...(manage ? [...OF_ISTIO_NAMESPACE.map((resource) => need(own, resource, "istio-system"))] : []),
  ];
}

const ROUTING = ["gateways", "virtualservices", "destinationrules"].map(
  (resource) => `${resource}.networking.istio.io`,
);

/** What `istioctl install` makes; it also grants rights, which needs them all in turn. */
const OF_ISTIO_CLUSTER = [
  "namespaces",
  "customresourcedefinitions.apiextensions.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  "validatingwebhookconfigurations.admissionregistration.k8s.io",
];
const OF_ISTIO_NAMESPACE = [
  "deployments.apps",
  "services",
  "serviceaccounts",
  "configmaps",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
  "poddisruptionbudgets.policy",
  "horizontalpodautoscalers.autoscaling",
];
