/** Changes which field manager owns which fields of an object, in its `metadata.managedFields`. */

import { ApiError } from "../../../clients/kubernetes.ts";
import { isObject, type Properties } from "../values.ts";
import type { Cluster, KubernetesObject, Reference } from "./cluster.ts";

interface Entry extends Properties {
  manager: string;
  operation: "Apply" | "Update";
  apiVersion: string;
  fieldsV1: Properties;
}

/** A controller can write the object's status between the read and the write. */
const ATTEMPTS = 5;

/**
 * Makes one manager the owner of the fields that kubectl changed. Otherwise a field that the program drops
 * would stay.
 */
export async function adoptFields(
  cluster: Cluster,
  reference: Reference,
  fieldManager: string,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const operations = adoption(await cluster.get(reference), fieldManager);
    if (operations === undefined) return;
    try {
      await cluster.patch(reference, operations);
      return;
    } catch (error) {
      const changedMeanwhile = error instanceof ApiError && error.status === 409;
      if (!changedMeanwhile || attempt === ATTEMPTS) throw error;
    }
  }
}

/** The JSON patch of managedFields; undefined when there is nothing to adopt. */
function adoption({ metadata }: KubernetesObject, fieldManager: string): object[] | undefined {
  const entries = (metadata.managedFields ?? []) as unknown as Entry[];
  const adopted = entries.filter((entry) => isAdoptable(entry, fieldManager));
  if (adopted.length === 0) return undefined;
  const own = entries.find(({ manager, operation }) => manager === fieldManager && operation === "Apply");
  const base = own ?? { ...(adopted[0] as Entry), manager: fieldManager, operation: "Apply" as const };
  const merged: Entry = {
    ...base,
    fieldsV1: adopted.reduce((fields, entry) => union(fields, entry.fieldsV1), base.fieldsV1),
  };
  const others = entries.filter((entry) => entry !== own && !adopted.includes(entry));
  return [
    { op: "replace", path: "/metadata/managedFields", value: [...others, merged] },
    // The server refuses the patch when the object has changed since it was read.
    { op: "replace", path: "/metadata/resourceVersion", value: metadata.resourceVersion },
  ];
}

function isAdoptable({ manager, operation, subresource }: Entry, fieldManager: string): boolean {
  if (subresource !== undefined || manager === fieldManager) return false;
  return manager.startsWith("kubectl") || (operation === "Update" && manager === "before-first-apply");
}

function union(a: Properties, b: Properties): Properties {
  const both: Properties = { ...a };
  for (const [field, inner] of Object.entries(b)) {
    const ours = both[field];
    both[field] = isObject(ours) && isObject(inner) ? union(ours, inner) : inner;
  }
  return both;
}
