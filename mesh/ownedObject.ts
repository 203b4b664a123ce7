/** What the program owns in the cluster: one declaration for checks, permissions, removal and components. */

/** A Kubernetes object that the stack makes under a fixed name. */
export interface OwnedObject {
  /** E.g. `VirtualService`. */
  readonly kind: string;
  /** API group; empty is the core group. */
  readonly group: string;
  /** API version within the group, e.g. `v1`. */
  readonly version: string;
  /** Resource name in paths and permissions, e.g. `virtualservices`. */
  readonly plural: string;
  /** Empty: the object belongs to no namespace. */
  readonly namespace: string;
  readonly name: string;
}
