/**
 * The one way to an API server: requests over `kubectl proxy`. Errors have types and the server's or
 * kubectl's own words; advice for the user is the caller's part. Unlike a client library, this loads in
 * milliseconds.
 */
import * as http from "node:http";
import { certificateExpiry, type Selection, type Target } from "./kubectlConfig.ts";
import { KubectlProxy, type ProxyOptions } from "./kubectlProxy.ts";
import { ApiError, failureOf, NoAnswer, objectIn, read } from "./kubernetesErrors.ts";
import { warningsOf, withQuery, writeQuery } from "./kubernetesQuery.ts";
import type {
  DeleteOptions,
  KubernetesObject,
  List,
  ListOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./kubernetesTypes.ts";
import { afterPauses } from "./retryAfter.ts";

export type { Selection, Target } from "./kubectlConfig.ts";
export { KubectlError } from "./kubectlProxy.ts";
export { ApiError, NoAnswer, unlessForbidden } from "./kubernetesErrors.ts";
export type * from "./kubernetesTypes.ts";

export interface ConnectOptions extends ProxyOptions {
  /** Longest time for one answer; a watch has none. @default 30 s */
  readonly answerMs?: number | undefined;
  /** What every such time is multiplied with, on a machine that is slow itself. @default 1 */
  readonly slowness?: number | undefined;
  /** Called with each answer that begins. */
  readonly onAnswer?: (() => void) | undefined;
}

/** Where requests go, and its name in messages. */
export interface Door {
  readonly socket: string;
  readonly target: Target;
  readonly noticesBefore?: (error: string) => Promise<readonly string[]>;
  readonly close?: () => Promise<void>;
}

const JSON_TYPE = "application/json";
const METADATA_ONLY = `${JSON_TYPE};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,${JSON_TYPE}`;
const METADATA_LIST = `${JSON_TYPE};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,${JSON_TYPE}`;
const PATCH_TYPES = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
} as const;
const CONNECTIONS = 16;
const ANSWER_MS = 30_000;

export class KubernetesApi {
  readonly #door: Door;
  readonly #options: ConnectOptions;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #selection: Selection;

  /**
   * Starts the proxy; nothing is sent to the cluster before the first request.
   * @throws KubectlError when kubectl is missing or cannot use the kubeconfig
   */
  static async connect(selection: Selection = {}, options: ConnectOptions = {}): Promise<KubernetesApi> {
    const proxy = await KubectlProxy.start(selection, options);
    return new this(proxy, options, proxy.selection);
  }

  constructor(door: Door, options: ConnectOptions = {}, selection: Selection = {}) {
    this.#door = door;
    this.#options = options;
    this.#selection = selection;
  }

  /** `cluster SERVER (kubeconfig FILE, context CONTEXT)`, for messages. */
  get where(): string {
    return this.#door.target.where;
  }

  get target(): Target {
    return this.#door.target;
  }

  /** The object at that path; undefined where there is none. */
  async get<T = KubernetesObject>(
    path: string,
    options: { readonly answerMs?: number } = {},
  ): Promise<T | undefined> {
    return orUndefined(this.#json<T>("GET", path, options));
  }

  /** The object's metadata alone; undefined where there is none. */
  async metadata(path: string): Promise<KubernetesObject | undefined> {
    return orUndefined(this.#json<KubernetesObject>("GET", path, { accept: METADATA_ONLY }));
  }

  /** All objects of a collection; none where the server does not know the collection. */
  async list<T = KubernetesObject>(path: string, options: ListOptions = {}): Promise<List<T>> {
    return listOf(
      await orUndefined(this.#json<Items<T>>("GET", withQuery(path, { ...options }), { accept: JSON_TYPE })),
    );
  }

  /** As {@link list}, with the objects' metadata alone. */
  async listMetadata(path: string, options: ListOptions = {}): Promise<List<KubernetesObject>> {
    const accept = METADATA_LIST;
    const found = this.#json<Items<KubernetesObject>>("GET", withQuery(path, { ...options }), { accept });
    return listOf(await orUndefined(found));
  }

  /** @param path the collection */
  create<T = KubernetesObject>(path: string, object: object, options: WriteOptions = {}): Promise<T> {
    return this.#json("POST", withQuery(path, writeQuery(options)), { body: object, ...options });
  }

  /**
   * Server-side apply.
   * @param path the object
   * @throws ApiError with reason Conflict when another manager owns a field with another value, unless forced
   */
  apply<T = KubernetesObject>(
    path: string,
    object: object,
    options: WriteOptions & { readonly fieldManager: string; readonly force?: boolean },
  ): Promise<T> {
    const query = { ...writeQuery(options), force: String(options.force ?? false) };
    return this.#json("PATCH", withQuery(path, query), {
      body: object,
      contentType: "application/apply-patch+yaml",
      ...options,
    });
  }

  patch<T = KubernetesObject>(
    path: string,
    type: keyof typeof PATCH_TYPES,
    body: object,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#json("PATCH", withQuery(path, writeQuery(options)), {
      body,
      contentType: PATCH_TYPES[type],
      ...options,
    });
  }

  /** Begins to delete the object. @returns false where there is none */
  async delete(path: string, options: DeleteOptions = {}): Promise<boolean> {
    const { propagationPolicy = "Background", gracePeriodSeconds } = options;
    const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy, gracePeriodSeconds };
    return (await orUndefined(this.#json<object>("DELETE", path, { body }))) !== undefined;
  }

  /**
   * The changes of a collection. The server ends the watch every few minutes.
   * @throws ApiError, or the signal's reason
   */
  async *watch<T = KubernetesObject>(
    path: string,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>> {
    const { signal, ...query } = options;
    const response = await this.#send("GET", withQuery(path, { ...query, watch: "true" }), { signal });
    if ((response.statusCode ?? 0) >= 400) throw await this.#failure(response);
    let rest = "";
    try {
      for await (const chunk of response.setEncoding("utf8")) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line !== "") yield JSON.parse(line) as WatchEvent<T>;
      }
    } finally {
      response.destroy();
    }
  }

  /** The log of one container. */
  logs(
    namespace: string,
    pod: string,
    { container, sinceSeconds }: { container?: string; sinceSeconds?: number } = {},
  ): Promise<string> {
    const query = { container, sinceSeconds: sinceSeconds === undefined ? undefined : String(sinceSeconds) };
    return this.text(withQuery(`/api/v1/namespaces/${namespace}/pods/${pod}/log`, query));
  }

  /** The answer of a path, as text. */
  async text(path: string): Promise<string> {
    const response = await this.#send("GET", path, { accept: "*/*" });
    if ((response.statusCode ?? 0) >= 400) throw await this.#failure(response);
    return await read(response, this.#patience());
  }

  /** The answer itself, of any status, for a caller that passes it on. */
  raw(
    method: string,
    path: string,
    options: { readonly accept?: string; readonly body?: Buffer; readonly contentType?: string } = {},
  ): Promise<http.IncomingMessage> {
    return this.#send(method, path, options);
  }

  /** When the user's certificate expires; undefined where it has none. */
  certificateExpiry(): Promise<Date | undefined> {
    return certificateExpiry(this.#selection, this.#options.signal);
  }

  /** Ends the proxy. Otherwise the proxy ends with this process, which it does not keep alive. */
  async close(): Promise<void> {
    this.#agent.destroy();
    await this.#door.close?.();
  }

  async #json<T>(method: string, path: string, options: RequestOptions): Promise<T> {
    const send = () => this.#send(method, path, options);
    const response = await afterPauses(send, options.signal ?? this.#options.signal);
    if ((response.statusCode ?? 0) >= 400) throw await this.#failure(response);
    options.warnings?.push(...warningsOf(response));
    return objectIn<T>(response, await read(response, this.#patience()));
  }

  #send(method: string, path: string, options: RequestOptions): Promise<http.IncomingMessage> {
    const { accept = JSON_TYPE, contentType = JSON_TYPE } = options;
    const body = bytesOf(options.body);
    const { signal: whole } = this.#options;
    const answerMs = this.#patience(options.answerMs);
    const signals = [whole, options.signal].flatMap((signal) => signal ?? []);
    return new Promise((resolve, reject) => {
      const request = http.request({
        socketPath: this.#door.socket,
        agent: this.#agent,
        method,
        path,
        signal: signals.length > 0 ? AbortSignal.any(signals) : undefined,
        headers: {
          host: "localhost",
          accept,
          "user-agent": "istio-lab",
          ...(body ? { "content-type": contentType, "content-length": body.length } : {}),
        },
      });
      const timer = setTimeout(
        () => request.destroy(new NoAnswer("time", `no answer within ${Math.round(answerMs / 1000)} s`)),
        answerMs,
      );
      request.once("response", (response) => {
        clearTimeout(timer);
        this.#options.onAnswer?.();
        resolve(response);
      });
      request.once("error", (error) => {
        clearTimeout(timer);
        for (const signal of signals) if (signal.aborted) return reject(signal.reason);
        reject(error instanceof NoAnswer ? error : new NoAnswer("connection", error.message));
      });
      request.end(body);
    });
  }

  #patience(answerMs = this.#options.answerMs ?? ANSWER_MS): number {
    return answerMs * (this.#options.slowness ?? 1);
  }

  async #failure(response: http.IncomingMessage): Promise<Error> {
    const text = await read(response, this.#patience());
    return await failureOf(response, text, async (error) => (await this.#door.noticesBefore?.(error)) ?? []);
  }
}

const bytesOf = (body: object | undefined): Buffer | undefined =>
  body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));

interface RequestOptions {
  readonly answerMs?: number;
  readonly accept?: string;
  readonly body?: object;
  readonly contentType?: string;
  readonly warnings?: string[];
  readonly signal?: AbortSignal | undefined;
}

interface Items<T> {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly items?: T[] | null;
}

const listOf = <T>(answer: Items<T> | undefined): List<T> => ({
  items: answer?.items ?? [],
  resourceVersion: answer?.metadata?.resourceVersion ?? "0",
});

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
