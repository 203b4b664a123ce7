/** The annotation that names the stack that owns an object. */

/** Its value is `ORGANIZATION/PROJECT/STACK`. */
export const OWNER_ANNOTATION = "istio-lab/owner";

/** Every write of the stack's objects has it. */
export const FIELD_MANAGER = "istio-lab";

/**
 * Annotations of an object of that stack. They set one field manager for all updates. By default Pulumi's
 * provider draws a new one for each create. The object of a killed update would then have two, and the first
 * one's fields could never change again.
 */
export const ownedBy = (owner: string): Record<string, string> => ({
  [OWNER_ANNOTATION]: owner,
  "pulumi.com/patchFieldManager": FIELD_MANAGER,
});
