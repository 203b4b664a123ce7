/** The cluster's side of a shift: watches the VirtualService, and reads the ingress gateway's access log. */

import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { LabError } from "../../clients/process.ts";
import { type Routing, readVirtualService, type VirtualServiceLike } from "../../mesh/istio.ts";
import { type GatewayRef, ISTIO_GATEWAY } from "../../mesh/model.ts";

/** The routing at one generation of the VirtualService. */
export interface RoutingState extends Routing {
  /** Kubernetes' count of changes of the object's spec. */
  generation: number;
}

/** A change of the routing, with the moment it was seen. */
export interface RoutingChange extends RoutingState {
  /** Milliseconds since the epoch, by this host's clock. */
  at: number;
}

type VirtualService = KubernetesObject & VirtualServiceLike;

/** Watches the VirtualService of the application. */
export class RoutingWatch {
  readonly #api: KubernetesApi;
  readonly #namespace: string;
  readonly #name: string;
  readonly #ended = new AbortController();

  constructor(api: KubernetesApi, namespace: string, name = "nginx") {
    this.#api = api;
    this.#namespace = namespace;
    this.#name = name;
  }

  /**
   * Reads the routing as it is and starts to watch for the next change of its spec.
   *
   * @returns `before`, and a promise of the change, which stays open for as long as there is none.
   * @throws LabError when there is no such VirtualService.
   */
  async start(): Promise<{ before: RoutingState; changed: Promise<RoutingChange> }> {
    const object = await this.#read();
    const before = stateOf(object);
    const changed = this.#nextChange(before.generation, object.metadata.resourceVersion ?? "");
    // The caller can leave it unawaited; a rejection must then not end the process.
    changed.catch(() => {});
    return { before, changed };
  }

  /** The routing as the API server has it now. */
  async current(): Promise<RoutingState> {
    return stateOf(await this.#read());
  }

  stop(): void {
    this.#ended.abort();
  }

  get #collection(): string {
    return `/apis/networking.istio.io/v1/namespaces/${this.#namespace}/virtualservices`;
  }

  async #read(): Promise<VirtualService> {
    const object = await this.#api.get<VirtualService>(`${this.#collection}/${this.#name}`);
    if (object) return object;
    throw new LabError(
      `no VirtualService ${this.#name} in namespace ${this.#namespace}: the stack is not up; run ` +
        "pulumi up, or ./lab up",
    );
  }

  async #nextChange(generation: number, resourceVersion: string): Promise<RoutingChange> {
    const { signal } = this.#ended;
    let from = resourceVersion;
    for (;;) {
      const query = { fieldSelector: `metadata.name=${this.#name}`, resourceVersion: from, signal };
      for await (const { type, object } of this.#api.watch<VirtualService>(this.#collection, query)) {
        const at = Date.now();
        // The resource version is too old for the server.
        if (type === "ERROR") break;
        if (object.metadata.generation !== generation) return { ...stateOf(object), at };
      }
      // The server ends a watch every few minutes.
      signal.throwIfAborted();
      const now = await this.#read();
      if (now.metadata.generation !== generation) return { ...stateOf(now), at: Date.now() };
      from = now.metadata.resourceVersion ?? "";
    }
  }
}

function stateOf(object: VirtualService): RoutingState {
  return { ...readVirtualService(object), generation: object.metadata.generation ?? 0 };
}

/**
 * The access log of all pods of the gateway, from the given time on (milliseconds since the epoch, to the
 * second).
 */
export async function gatewayLog(
  api: KubernetesApi,
  since: number,
  { namespace, selector }: GatewayRef = ISTIO_GATEWAY,
): Promise<string> {
  const labelSelector = Object.entries(selector)
    .map(([label, value]) => `${label}=${value}`)
    .join(",");
  const { items } = await api.listMetadata(`/api/v1/namespaces/${namespace}/pods`, { labelSelector });
  const sinceSeconds = Math.max(1, Math.ceil((Date.now() - since) / 1000));
  const logs = items.map(({ metadata }) =>
    api.logs(namespace, metadata.name, { container: "istio-proxy", sinceSeconds }),
  );
  return (await Promise.all(logs)).join("\n");
}
