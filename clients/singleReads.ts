/** A client that reads one moment of a cluster: checks that need the same object share one request. */
import { KubernetesApi, type KubernetesObject, type List, type ListOptions } from "./kubernetes.ts";
import { withQuery } from "./kubernetesQuery.ts";

/** Sends each read once, and gives later ones the same answer or error. Watches and writes are not shared. */
export class SingleReads extends KubernetesApi {
  readonly #reads = new Map<string, Promise<unknown>>();

  override get<T = KubernetesObject>(
    path: string,
    options: { readonly answerMs?: number } = {},
  ): Promise<T | undefined> {
    return this.#once(`get ${path}`, () => super.get<T>(path, options));
  }

  override metadata(path: string): Promise<KubernetesObject | undefined> {
    return this.#once(`metadata ${path}`, () => super.metadata(path));
  }

  override list<T = KubernetesObject>(path: string, options: ListOptions = {}): Promise<List<T>> {
    return this.#once(`list ${withQuery(path, { ...options })}`, () => super.list<T>(path, options));
  }

  override listMetadata(path: string, options: ListOptions = {}): Promise<List<KubernetesObject>> {
    return this.#once(`list metadata ${withQuery(path, { ...options })}`, () =>
      super.listMetadata(path, options),
    );
  }

  #once<T>(read: string, send: () => Promise<T>): Promise<T> {
    const answer = (this.#reads.get(read) as Promise<T> | undefined) ?? send();
    this.#reads.set(read, answer);
    return answer;
  }
}
