/**
 * The few calls of the Kubernetes API that the provider needs, on Node's own HTTP client: @kubernetes/client-node
 * takes 0.3 s to load, which every `pulumi up` would pay, and 0.01 s is what this takes.
 */
import http from "node:http";
import https from "node:https";
import type { Access } from "../../../clients/kubeconfig.ts";
import type { Properties } from "../values.ts";

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

/** Which object, whatever it holds. */
export interface Reference {
  apiVersion: string;
  kind: string;
  name: string;
  /** Left out for the default one; ignored for kinds that have none. */
  namespace?: string | undefined;
}

/** What the API server answered instead of an object. */
export class ApiError extends Error {
  readonly code: number;
  /** `AlreadyExists`, `NotFound`, `Conflict`, `Invalid` … */
  readonly reason: string;
  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** The server knows no such kind: most likely its CRD is not there, or not yet, or no more. */
export class NoSuchKind extends Error {
  constructor({ apiVersion, kind }: { apiVersion: string; kind: string }) {
    super(`no matches for kind "${kind}" in version "${apiVersion}"`);
  }
}

/** The server cannot be talked to at all. */
export class ClusterUnreachable extends Error {}

export interface WriteOptions {
  dryRun?: boolean;
  fieldManager: string;
}

export interface ObjectList {
  items: KubernetesObject[];
  /** What a watch continues from. */
  resourceVersion: string;
}

export interface WatchEvent {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  object: KubernetesObject;
}

interface ResourceKind {
  plural: string;
  namespaced: boolean;
}

export class Api {
  readonly #access: Access;
  readonly #agent: http.Agent;
  readonly #kinds = new Map<string, Promise<Map<string, ResourceKind>>>();

  constructor(access: Access) {
    this.#access = access;
    this.#agent =
      access.server.protocol === "http:"
        ? new http.Agent({ keepAlive: true })
        : new https.Agent({ keepAlive: true, ...access.tls });
  }

  get defaultNamespace(): string {
    return this.#access.namespace ?? "default";
  }

  async isNamespaced(reference: { apiVersion: string; kind: string }): Promise<boolean> {
    return (await this.#kind(reference)).namespaced;
  }

  async exists(reference: { apiVersion: string; kind: string }): Promise<boolean> {
    try {
      await this.#kind(reference);
      return true;
    } catch (error) {
      if (error instanceof NoSuchKind) return false;
      throw error;
    }
  }

  async get(reference: Reference): Promise<KubernetesObject> {
    return await this.#request("GET", await this.#path(reference));
  }

  /** @param query labelSelector, fieldSelector */
  async list(collection: Omit<Reference, "name">, query: Record<string, string>): Promise<ObjectList> {
    const list = await this.#request("GET", await this.#collection(collection), { query });
    return {
      items: (list.items ?? []) as unknown as KubernetesObject[],
      resourceVersion: list.metadata.resourceVersion ?? "0",
    };
  }

  async create(object: KubernetesObject, options: WriteOptions): Promise<KubernetesObject> {
    const path = await this.#collection(referenceTo(object));
    return await this.#request("POST", path, { body: object, query: writeQuery(options) });
  }

  /** Server-side apply. @throws a Conflict when another manager owns a field with another value, unless forced */
  async apply(
    object: KubernetesObject,
    options: WriteOptions & { force: boolean },
  ): Promise<KubernetesObject> {
    return await this.#request("PATCH", await this.#path(referenceTo(object)), {
      body: object,
      contentType: "application/apply-patch+yaml",
      query: { ...writeQuery(options), force: String(options.force) },
    });
  }

  async patch(reference: Reference, operations: unknown[]): Promise<KubernetesObject> {
    return await this.#request("PATCH", await this.#path(reference), {
      body: operations,
      contentType: "application/json-patch+json",
    });
  }

  async delete(reference: Reference, propagationPolicy: string): Promise<void> {
    await this.#request("DELETE", await this.#path(reference), {
      body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy },
    });
  }

  /**
   * The changes of a collection after a version; ends when the server ends it, as it does every few minutes.
   * @param query labelSelector, fieldSelector
   */
  async *watch(
    collection: Omit<Reference, "name">,
    query: Record<string, string>,
    resourceVersion: string,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    const response = await this.#send("GET", await this.#collection(collection), {
      query: { ...query, watch: "true", resourceVersion },
      signal,
    });
    if ((response.statusCode ?? 0) >= 400) throw apiError(response, await text(response));
    let pending = "";
    try {
      for await (const chunk of response.setEncoding("utf8")) {
        const lines = (pending + chunk).split("\n");
        pending = lines.pop() ?? "";
        for (const line of lines) if (line !== "") yield JSON.parse(line) as WatchEvent;
      }
    } finally {
      response.destroy();
    }
  }

  async #path(reference: Reference): Promise<string> {
    return `${await this.#collection(reference)}/${encodeURIComponent(reference.name)}`;
  }

  async #collection(reference: Omit<Reference, "name">): Promise<string> {
    const { plural, namespaced } = await this.#kind(reference);
    const namespace = namespaced
      ? `/namespaces/${encodeURIComponent(reference.namespace || this.defaultNamespace)}`
      : "";
    return `${groupPath(reference.apiVersion)}${namespace}/${plural}`;
  }

  /** Asks the server once for each group version; not found is asked again, as a CRD may come at any time. */
  async #kind({ apiVersion, kind }: { apiVersion: string; kind: string }): Promise<ResourceKind> {
    const known = (await this.#kinds.get(apiVersion))?.get(kind);
    if (known !== undefined) return known;
    const asked = this.#discover(apiVersion);
    this.#kinds.set(apiVersion, asked);
    asked.catch(() => this.#kinds.delete(apiVersion));
    const found = (await asked).get(kind);
    if (found === undefined) throw new NoSuchKind({ apiVersion, kind });
    return found;
  }

  async #discover(apiVersion: string): Promise<Map<string, ResourceKind>> {
    try {
      const { resources } = (await this.#request("GET", groupPath(apiVersion))) as unknown as {
        resources: { name: string; kind: string; namespaced: boolean }[];
      };
      return new Map(
        resources
          .filter(({ name }) => !name.includes("/"))
          .map(({ name, kind, namespaced }) => [kind, { plural: name, namespaced }]),
      );
    } catch (error) {
      if (error instanceof ApiError && error.code === 404) return new Map();
      throw error;
    }
  }

  async #request(method: string, path: string, options: RequestOptions = {}): Promise<KubernetesObject> {
    const response = await this.#send(method, path, options);
    const body = await text(response);
    if ((response.statusCode ?? 0) >= 400) throw apiError(response, body);
    return JSON.parse(body) as KubernetesObject;
  }

  #send(method: string, path: string, options: RequestOptions): Promise<http.IncomingMessage> {
    const { server, authorization } = this.#access;
    const url = new URL(server.pathname.replace(/\/$/, "") + path, server);
    url.search = new URLSearchParams(options.query).toString();
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    return new Promise((resolve, reject) => {
      const request = (server.protocol === "http:" ? http : https).request(url, {
        method,
        agent: this.#agent,
        signal: options.signal,
        headers: {
          accept: "application/json",
          "user-agent": "istio-lab",
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined
            ? {}
            : {
                "content-type": options.contentType ?? "application/json",
                "content-length": Buffer.byteLength(body),
              }),
        },
      });
      request.setTimeout(CONNECT_TIMEOUT_MS, () => {
        // A watch is quiet for as long as nothing happens; only the answer's head has a time limit.
        if (!request.writableFinished || request.socket?.connecting)
          request.destroy(new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`));
      });
      request.once("response", resolve);
      request.once("error", (error: NodeJS.ErrnoException) => {
        // The server had closed a connection that was kept open, and has not seen the request.
        if (request.reusedSocket && error.code === "ECONNRESET") resolve(this.#send(method, path, options));
        else reject(unreachable(error, server));
      });
      request.end(body);
    });
  }
}

interface RequestOptions {
  body?: unknown;
  contentType?: string;
  query?: Record<string, string>;
  signal?: AbortSignal;
}

const CONNECT_TIMEOUT_MS = 10_000;

export function referenceTo({ apiVersion, kind, metadata }: KubernetesObject): Reference {
  return { apiVersion, kind, name: metadata.name ?? "", namespace: metadata.namespace };
}

export function isNotFound(error: unknown): boolean {
  return error instanceof NoSuchKind || (error instanceof ApiError && error.code === 404);
}

function writeQuery({ dryRun, fieldManager }: WriteOptions): Record<string, string> {
  return { fieldManager, fieldValidation: "Warn", ...(dryRun ? { dryRun: "All" } : {}) };
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

async function text(response: http.IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk;
  return body;
}

function apiError(response: http.IncomingMessage, body: string): ApiError {
  const code = response.statusCode ?? 0;
  try {
    const status = JSON.parse(body) as { reason?: string; message?: string };
    return new ApiError(code, status.reason ?? "", status.message ?? body);
  } catch {
    return new ApiError(code, "", body.trim() || `HTTP status ${code}`);
  }
}

function unreachable(error: NodeJS.ErrnoException, server: URL): Error {
  if (error.name === "AbortError") return error;
  return new ClusterUnreachable(
    `configured Kubernetes cluster is unreachable: ${server.origin}: ${error.message || error.code}`,
  );
}
