/** Types of requests to an API server and of its answers: objects, lists, events, options. */

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
  /** The version from which a watch continues. */
  readonly resourceVersion: string;
}

export interface WriteOptions {
  /** True: the server answers with the result, and stores nothing. @default false */
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  /** Longest time for the answer. @default the client's */
  readonly answerMs?: number;
  /** Receives the warnings of the answer, such as those of Pod Security. */
  readonly warnings?: string[];
}

export interface DeleteOptions {
  /** @default Background */
  readonly propagationPolicy?: string | undefined;
  /** 0: at once, without the node. @default the object's own */
  readonly gracePeriodSeconds?: number | undefined;
}

export interface WatchOptions extends ListOptions {
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: T;
}
