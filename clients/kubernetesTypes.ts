/** What goes to and comes from an API server: objects, lists, events, and options of requests. */

/** The fields of an object's metadata that the program reads. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly generation?: number;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly managedFields?: readonly { readonly manager?: string; readonly subresource?: string }[];
}

export interface KubernetesObject {
  readonly metadata: Metadata;
}

export interface ListOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface List<T> {
  readonly items: T[];
  /** What a watch continues from. */
  readonly resourceVersion: string;
}

export interface WriteOptions {
  /** True: the server says what it would do, and does nothing. @default false */
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  /** Takes the warnings that come with the answer, such as those of Pod Security. */
  readonly warnings?: string[];
}

export interface WatchOptions extends ListOptions {
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: T;
}
