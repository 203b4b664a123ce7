/** The annotation that says which stack an object belongs to. */

/** Its value is `ORGANIZATION/PROJECT/STACK`. */
export const OWNER_ANNOTATION = "istio-lab/owner";

/** Annotations of an object of that stack. */
export const ownedBy = (owner: string): Record<string, string> => ({ [OWNER_ANNOTATION]: owner });
