/** The annotation that says which stack an object belongs to. */

/** Its value is `ORGANIZATION/PROJECT/STACK`. */
export const OWNER_ANNOTATION = "istio-lab/owner";

/**
 * Annotations of an object of that stack. One field manager for all updates: by default, Pulumi's provider
 * draws another one for each create. An object that a killed update has made would have two then, and the
 * killed one's fields could never be changed again.
 */
export const ownedBy = (owner: string): Record<string, string> => ({
  [OWNER_ANNOTATION]: owner,
  "pulumi.com/patchFieldManager": "istio-lab",
});
