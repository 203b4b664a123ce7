/** Checks the user's permissions, in as few requests as possible. */
import { ApiError, type KubernetesApi } from "../clients/kubernetes.ts";
import type { Fault } from "../settings/faults.ts";
import type { Permission, Preflight } from "./capability.ts";
import { objectPermissions } from "./objects.ts";

/** Everything that these capabilities need of the cluster. */
export function neededPermissions<Config>(
  capabilities: readonly Preflight<Config>[],
  config: Config,
): Permission[] {
  const objects = capabilities.flatMap((each) => each.objects?.(config) ?? []);
  return [...capabilities.flatMap((each) => each.permissions?.(config) ?? []), ...objectPermissions(objects)];
}

/** One fault that names everything that the user is not allowed to do. */
export async function permissionFaults(
  api: KubernetesApi,
  permissions: readonly Permission[],
): Promise<Fault[]> {
  const everything = { verbs: ["*"], group: "*", resource: "*", namespace: "" };
  if (await isAllowed(api, "*", everything)) return [];
  const rules = await readRules(api, namespacesOf(permissions));
  const refused = await Promise.all(
    merged(permissions).map(async (permission) => {
      const allowed = await Promise.all(
        permission.verbs.map((verb) => decide(rules, verb, permission) ?? isAllowed(api, verb, permission)),
      );
      const verbs = permission.verbs.filter((_, index) => !allowed[index]);
      return verbs.length === 0 ? [] : [`${verbs.join(", ")} ${described(permission)}`];
    }),
  );
  if (refused.flat().length === 0) return [];
  return [
    {
      key: "",
      message:
        `${api.where} does not allow this user to ${refused.flat().join("; ")}: allow these, or use a ` +
        "context whose user has the cluster role cluster-admin",
    },
  ];
}

/** Rules of the roles that are bound in one namespace, and in the whole cluster. */
interface Rules {
  readonly resourceRules: readonly {
    readonly verbs: readonly string[];
    readonly apiGroups?: readonly string[];
    readonly resources?: readonly string[];
    readonly resourceNames?: readonly string[];
  }[];
  /** True: the rules are complete, so that anything else is refused. */
  readonly complete: boolean;
}

/**
 * A namespace that does not exist. No role is bound in it, so that only the rules of the whole cluster apply.
 */
const NOWHERE = "istio-lab-preflight-no-such-namespace";

/**
 * A rules review answers for all resources of a namespace at once, an access review for one verb on one
 * resource.
 */
async function readRules(
  api: KubernetesApi,
  namespaces: readonly string[],
): Promise<ReadonlyMap<string, Rules>> {
  const reviews = await Promise.all(
    namespaces.map(async (namespace) => [namespace, await reviewRules(api, namespace || NOWHERE)] as const),
  );
  return new Map(reviews.flatMap(([namespace, rules]) => (rules ? [[namespace, rules]] : [])));
}

interface RulesReview {
  readonly status?: {
    readonly resourceRules?: Rules["resourceRules"] | null;
    readonly incomplete?: boolean;
    readonly evaluationError?: string;
  };
}

/** The node authorizer lists no rules, and allows nothing to a user who is not a node. */
const HARMLESS = /^node authorizer does not support user rule resolution$/;

async function reviewRules(api: KubernetesApi, namespace: string): Promise<Rules | undefined> {
  try {
    const { status } = await review<RulesReview>(api, "SelfSubjectRulesReview", { namespace });
    const { incomplete = false, evaluationError = "" } = status ?? {};
    return {
      resourceRules: status?.resourceRules ?? [],
      complete: !incomplete || HARMLESS.test(evaluationError),
    };
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** Undefined where the rules leave it open. */
function decide(
  rules: ReadonlyMap<string, Rules>,
  verb: string,
  { group, resource, namespace, name }: Permission,
): boolean | undefined {
  const known = rules.get(namespace);
  const allowed = known?.resourceRules.some(
    ({ verbs, apiGroups = [], resources = [], resourceNames = [] }) =>
      has(verbs, verb) &&
      has(apiGroups, group) &&
      has(resources, resource) &&
      (resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name))),
  );
  return allowed || known?.complete ? Boolean(allowed) : undefined;
}

const has = (list: readonly string[], word: string) => list.includes("*") || list.includes(word);

async function isAllowed(api: KubernetesApi, verb: string, permission: Permission): Promise<boolean> {
  const { group, resource, namespace, name } = permission;
  const resourceAttributes = {
    verb,
    group,
    resource,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
  };
  const { status } = await review<{ status?: { allowed?: boolean } }>(api, "SelfSubjectAccessReview", {
    resourceAttributes,
  });
  return status?.allowed === true;
}

function review<T>(api: KubernetesApi, kind: string, spec: object): Promise<T> {
  const group = "authorization.k8s.io/v1";
  return api.create<T>(`/apis/${group}/${kind.toLowerCase()}s`, { apiVersion: group, kind, spec });
}

/** One entry for each resource and namespace, because several capabilities can need the same one. */
function merged(permissions: readonly Permission[]): Permission[] {
  const byPlace = new Map<string, Permission>();
  for (const permission of permissions) {
    const place = described(permission);
    const verbs = [...(byPlace.get(place)?.verbs ?? []), ...permission.verbs];
    byPlace.set(place, { ...permission, verbs: [...new Set(verbs)] });
  }
  return [...byPlace.values()];
}

const namespacesOf = (permissions: readonly Permission[]) => [
  ...new Set(permissions.map(({ namespace }) => namespace)),
];

const described = ({ group, resource, namespace, name }: Permission) =>
  [
    group ? `${resource}.${group}` : resource,
    ...(name ? [name] : []),
    ...(namespace && resource !== "namespaces" ? [`in namespace ${namespace}`] : []),
  ].join(" ");
