/** Keeps collections of one namespace current, by lists and watches. */
import { setTimeout as delay } from "node:timers/promises";
import { ApiError } from "../../../clients/kubernetes.ts";
import { type Cluster, type Collection, isNotFound, type KubernetesObject } from "./cluster.ts";

const RELIST_MS = 250;
/** Status of a watch whose version is too old. */
const GONE = 410;

export class Observation {
  readonly #cluster: Cluster;
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  readonly #end = new AbortController();
  readonly #signal: AbortSignal;
  #changed = Promise.withResolvers<void>();
  #error: unknown;

  /**
   * Needs list and watch on each collection, as the official provider's informers do.
   * @param signal ends the observation
   */
  constructor(cluster: Cluster, collections: readonly Collection[], signal: AbortSignal) {
    this.#cluster = cluster;
    this.#signal = AbortSignal.any([signal, this.#end.signal]);
    for (const collection of collections) void this.#follow(collection);
  }

  /** The objects of a kind; undefined before they are known. */
  of(kind: string): readonly KubernetesObject[] | undefined {
    const objects = this.#objects.get(kind);
    return objects === undefined ? undefined : [...objects.values()];
  }

  /**
   * Resolves at the next change, or after this time.
   * @throws the server's error, or the signal's reason
   */
  async change(withinMs: number): Promise<void> {
    const timer = new AbortController();
    const { signal } = timer;
    const end = new Promise<never>((_, reject) =>
      this.#signal.addEventListener("abort", () => reject(this.#signal.reason), { once: true, signal }),
    );
    try {
      this.#signal.throwIfAborted();
      const time = delay(withinMs, undefined, { signal }).catch(() => {});
      await Promise.race([this.#changed.promise, time, end]);
    } finally {
      timer.abort();
    }
    if (this.#error !== undefined) throw this.#error;
    this.#changed = Promise.withResolvers();
  }

  end(): void {
    this.#end.abort();
  }

  async #follow(collection: Collection): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        await this.#once(collection);
        await delay(RELIST_MS, undefined, { signal: this.#signal });
      } catch (error) {
        if (this.#signal.aborted) return;
        const passing = error instanceof ApiError && (error.status === GONE || error.status >= 500);
        if (passing) continue;
        if (isNotFound(error)) this.#objects.set(collection.kind, new Map());
        else this.#error = error;
        return this.#changed.resolve();
      }
    }
  }

  async #once(collection: Collection): Promise<void> {
    const { items, resourceVersion } = await this.#cluster.list(collection);
    // Objects in a list come without their kind.
    const { apiVersion, kind } = collection;
    const objects = new Map(items.map((item) => [nameOf(item), { ...item, apiVersion, kind }]));
    this.#objects.set(kind, objects);
    this.#changed.resolve();
    for await (const { type, object } of this.#cluster.watch(collection, resourceVersion, this.#signal)) {
      if (type === "ERROR") return;
      if (type === "DELETED") objects.delete(nameOf(object));
      else if (type !== "BOOKMARK") objects.set(nameOf(object), object);
      this.#changed.resolve();
    }
  }
}

function nameOf({ metadata: { namespace = "", name = "" } }: KubernetesObject): string {
  return `${namespace}/${name}`;
}
