/** A user of a lab's cluster with exactly the permissions that the preflight asks for. */
import { capabilities, type LabConfig } from "../../../capabilities.ts";
import type { Capability, Permission } from "../../../preflight/capability.ts";
import { neededPermissions } from "../../../preflight/permissions.ts";
import { settings } from "../settings.ts";
import type { TestLab } from "./harness.ts";

const NAME = "limited";
const RBAC = "rbac.authorization.k8s.io";

/**
 * Creates the user and its roles.
 * @param change the stack's settings that differ from the defaults
 * @returns a token of the user
 */
export async function createLimitedUser(lab: TestLab, change: Record<string, unknown>): Promise<string> {
  const all: readonly Capability<LabConfig>[] = capabilities;
  const permissions = neededPermissions(all, settings(change));
  await lab.kubectl("create", "serviceaccount", NAME);
  const byNamespace = Map.groupBy(permissions, ({ namespace }) => namespace);
  for (const [namespace, needed] of byNamespace)
    for (const object of rolesOf(namespace, needed)) await lab.create(object);
  return await lab.kubectl("create", "token", NAME);
}

/** A role and its binding. @param namespace empty: the whole cluster */
function rolesOf(namespace: string, permissions: readonly Permission[]): object[] {
  const kind = namespace ? "Role" : "ClusterRole";
  const metadata = { name: NAME, ...(namespace ? { namespace } : {}) };
  const apiVersion = `${RBAC}/v1`;
  const rules = permissions.map(({ verbs, group, resource, name }) => ({
    apiGroups: [group],
    resources: [resource],
    verbs,
    ...(name ? { resourceNames: [name] } : {}),
  }));
  return [
    { apiVersion, kind, metadata, rules },
    {
      apiVersion,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: RBAC, kind, name: NAME },
      subjects: [{ kind: "ServiceAccount", name: NAME, namespace: "default" }],
    },
  ];
}
