/** Checks that the names of owned objects are free or this stack's, and lists the verbs needed on them. */
import type { KubernetesApi, KubernetesObject } from "../clients/kubernetes.ts";
import { type OwnedObject, pathOf } from "../mesh/ownedObject.ts";
import { OWNER_ANNOTATION } from "../mesh/owner.ts";
import type { Fault } from "../settings/faults.ts";
import type { Permission } from "./capability.ts";

/**
 * A fault for each object that exists and is not this stack's.
 * @param namespace the setting of that name, which decides where some of the objects are
 */
export async function ownershipFaults(
  api: KubernetesApi,
  objects: readonly OwnedObject[],
  owner: string,
  namespace?: string | undefined,
): Promise<Fault[]> {
  const found = await Promise.all(
    objects.map(async (object) => ({ object, live: await api.metadata(pathOf(object)) })),
  );
  return found.flatMap(({ object, live }) => {
    const other = live && otherOwner(live, owner);
    return other ? [{ key: "", message: taken(object, other, owner, namespace) }] : [];
  });
}

/** The verbs of an update and a destroy. Both wait for the object, which needs list and watch on its kind. */
export function objectPermissions(objects: readonly OwnedObject[]): Permission[] {
  return objects.map(({ group, plural, namespace }) => ({
    verbs: ["get", "list", "watch", "create", "patch", "delete"],
    group,
    resource: plural,
    namespace,
  }));
}

/** Who made the object instead of this stack; undefined for this stack. */
function otherOwner({ metadata }: KubernetesObject, owner: string): string | undefined {
  const other = metadata.annotations?.[OWNER_ANNOTATION];
  if (other !== undefined) return other === owner ? undefined : `belongs to stack ${other}`;
  // A manager of the status is a controller, which did not make the object.
  const makers = (metadata.managedFields ?? []).filter(({ subresource }) => !subresource);
  const managers = [...new Set(makers.flatMap(({ manager }) => manager || []))];
  return `is not this stack's (field manager: ${managers.join(", ") || "none"})`;
}

function taken(
  { kind, namespace, name }: OwnedObject,
  other: string,
  owner: string,
  setting: string | undefined,
): string {
  const where = namespace ? ` in namespace ${namespace}` : "";
  const inNamespace = namespace ? ` --namespace=${namespace}` : "";
  const annotate = `kubectl annotate --overwrite${inNamespace} ${kind} ${name} ${OWNER_ANNOTATION}=${owner}`;
  const elsewhere = namespace && namespace === setting ? ", or set namespace to another one" : "";
  const all = kind === "Namespace" ? ", whose destroy then deletes all that is in it" : "";
  return (
    `${kind} ${name}${where} exists already and ${other}: delete it${elsewhere}, or let this stack take it ` +
    `over${all} (${annotate})`
  );
}
