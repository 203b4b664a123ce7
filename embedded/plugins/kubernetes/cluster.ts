/**
 * The API server as the provider sees it: objects by kind and name, whose paths come from the server's
 * discovery.
 */
import { ApiError, KubectlError, KubernetesApi, NoAnswer } from "../../../clients/kubernetes.ts";
import type { Properties } from "../values.ts";
import type { Config } from "./config.ts";

export interface KubernetesObject extends Properties {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}
export type ObjectMeta = Properties & {
  name?: string;
  namespace?: string;
  generation?: number;
  uid?: string;
  resourceVersion?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
};

export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** The objects of a kind, in one namespace where the kind has namespaces. */
export interface Collection extends Kind {
  /** @default the default namespace; kinds without namespaces ignore it */
  readonly namespace?: string | undefined;
}

/** Which object, whatever it holds. */
export interface Reference extends Collection {
  readonly name: string;
}

/** The server knows no such kind: its CRD is not there, or not yet. */
export class NoSuchKind extends Error {
  constructor({ apiVersion, kind }: Kind) {
    super(`no matches for kind "${kind}" in version "${apiVersion}"`);
  }
}

/** The kubeconfig cannot be used, or no server answers. */
export class ClusterUnreachable extends Error {
  constructor(reason: string) {
    super(`configured Kubernetes cluster is unreachable: ${reason}`);
  }
}

export interface WriteOptions {
  readonly fieldManager: string;
  readonly dryRun?: boolean;
}

interface ResourceKind {
  readonly plural: string;
  readonly namespaced: boolean;
}

export class Cluster {
  readonly #api: KubernetesApi;
  readonly #kinds = new Map<string, Promise<Map<string, ResourceKind>>>();

  /** @throws ClusterUnreachable */
  static async connect({ kubeconfig, context }: Config): Promise<Cluster> {
    try {
      return new Cluster(await KubernetesApi.connect({ kubeconfig, context }));
    } catch (error) {
      throw new ClusterUnreachable((error as Error).message);
    }
  }

  constructor(api: KubernetesApi) {
    this.#api = api;
  }

  async knows(kind: Kind): Promise<boolean> {
    try {
      await this.#kind(kind);
      return true;
    } catch (error) {
      if (error instanceof NoSuchKind) return false;
      throw error;
    }
  }

  /** @throws ApiError with status 404, or NoSuchKind, where there is none */
  async get(reference: Reference): Promise<KubernetesObject> {
    const path = await this.#path(reference);
    const live = await this.#answer(this.#api.get<KubernetesObject>(path));
    if (live === undefined) throw new ApiError(404, "NotFound", `${path.slice(1)} not found`);
    return live;
  }

  async list(collection: Collection) {
    return await this.#answer(this.#api.list<KubernetesObject>(await this.#collection(collection)));
  }

  async *watch(collection: Collection, resourceVersion: string, signal: AbortSignal) {
    yield* this.#api.watch<KubernetesObject>(await this.#collection(collection), { resourceVersion, signal });
  }

  /**
   * Server-side apply. @throws a Conflict when another manager owns a field with another value, unless forced
   */
  async apply(
    object: KubernetesObject,
    options: WriteOptions & { force: boolean },
  ): Promise<KubernetesObject> {
    const path = await this.#path(referenceTo(object));
    return await this.#answer(this.#api.apply<KubernetesObject>(path, object, options));
  }

  async patch(reference: Reference, operations: object[]): Promise<KubernetesObject> {
    const path = await this.#path(reference);
    return await this.#answer(this.#api.patch<KubernetesObject>(path, "json", operations));
  }

  async delete(reference: Reference, propagationPolicy: string): Promise<void> {
    await this.#answer(this.#api.delete(await this.#path(reference), { propagationPolicy }));
  }

  async close(): Promise<void> {
    await this.#api.close();
  }

  async #path(reference: Reference): Promise<string> {
    return `${await this.#collection(reference)}/${encodeURIComponent(reference.name)}`;
  }

  async #collection(collection: Collection): Promise<string> {
    const { plural, namespaced } = await this.#kind(collection);
    const namespace = collection.namespace || this.#api.target.namespace || "default";
    const place = namespaced ? `/namespaces/${encodeURIComponent(namespace)}` : "";
    return `${groupPath(collection.apiVersion)}${place}/${plural}`;
  }

  /**
   * Each group version is discovered once. An unknown kind is looked up again, because its CRD can appear.
   */
  async #kind({ apiVersion, kind }: Kind): Promise<ResourceKind> {
    const known = (await this.#kinds.get(apiVersion))?.get(kind);
    if (known !== undefined) return known;
    const discovery = this.#discover(apiVersion);
    this.#kinds.set(apiVersion, discovery);
    discovery.catch(() => this.#kinds.delete(apiVersion));
    const found = (await discovery).get(kind);
    if (found === undefined) throw new NoSuchKind({ apiVersion, kind });
    return found;
  }

  async #discover(apiVersion: string): Promise<Map<string, ResourceKind>> {
    const answer = await this.#answer(
      this.#api.get<{ resources: { name: string; kind: string; namespaced: boolean }[] }>(
        groupPath(apiVersion),
      ),
    );
    return new Map(
      (answer?.resources ?? [])
        .filter(({ name }) => !name.includes("/"))
        .map(({ name, kind, namespaced }) => [kind, { plural: name, namespaced }]),
    );
  }

  async #answer<T>(request: Promise<T>): Promise<T> {
    try {
      return await request;
    } catch (error) {
      const unreachable = error instanceof NoAnswer || error instanceof KubectlError;
      throw unreachable ? new ClusterUnreachable(`${this.#api.where}: ${error.message}`) : error;
    }
  }
}

export function referenceTo({ apiVersion, kind, metadata }: KubernetesObject): Reference {
  return { apiVersion, kind, name: metadata.name ?? "", namespace: metadata.namespace };
}

export function isNotFound(error: unknown): boolean {
  return error instanceof NoSuchKind || (error instanceof ApiError && error.status === 404);
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}
