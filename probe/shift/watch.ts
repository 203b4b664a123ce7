/** What the cluster tells about a shift: the VirtualService as it changes, and the ingress gateway's access log. */
import { CoreV1Api, CustomObjectsApi, KubeConfig, Watch } from "@kubernetes/client-node";
import { LabError } from "../../clients/process.ts";

/** The http route of the VirtualService. */
export interface Routing {
  /** The route's name, which access logs carry; absent when the VirtualService gives it none. */
  name?: string;
  /** Percent by subset. */
  weights: Record<string, number>;
  /** Kubernetes' count of changes of the object's spec. */
  generation: number;
}

/** A change of the routing, with the moment it was seen. */
export interface RoutingChange extends Routing {
  /** Milliseconds since the epoch, by this host's clock. */
  at: number;
}

interface VirtualService {
  metadata: { generation: number; resourceVersion: string };
  spec: { http?: { name?: string; route?: { destination: { subset?: string }; weight?: number }[] }[] };
}

/** The VirtualService of the lab, from one moment on. */
export class RoutingWatch {
  readonly #kubeConfig = new KubeConfig();
  readonly #resource: { group: string; version: string; namespace: string; plural: string; name: string };
  readonly #ended = new AbortController();

  constructor(kubeconfig: string, namespace: string, name = "nginx") {
    this.#kubeConfig.loadFromFile(kubeconfig);
    this.#resource = {
      group: "networking.istio.io",
      version: "v1",
      namespace,
      plural: "virtualservices",
      name,
    };
  }

  /**
   * Reads the routing as it is and starts to watch for the next change of its spec.
   *
   * @returns `before`, and a promise of the change, which stays open for as long as there is none.
   * @throws LabError when there is no such VirtualService.
   */
  async start(): Promise<{ before: Routing; changed: Promise<RoutingChange> }> {
    const object = await this.#read();
    const before = routingOf(object);
    const changed = this.#nextChange(before, object.metadata.resourceVersion);
    // Whoever awaits it gets the error; until then it is nobody's unhandled rejection.
    changed.catch(() => {});
    return { before, changed };
  }

  /** The routing as the API server has it now. */
  async current(): Promise<Routing> {
    return routingOf(await this.#read());
  }

  stop(): void {
    this.#ended.abort();
  }

  async #read(): Promise<VirtualService> {
    try {
      return await this.#kubeConfig.makeApiClient(CustomObjectsApi).getNamespacedCustomObject(this.#resource);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 404) throw error;
      const { name, namespace } = this.#resource;
      throw new LabError(
        `no VirtualService ${name} in namespace ${namespace}: the lab is not up; run ./lab up`,
      );
    }
  }

  /** Watches, and takes the watch up again where the API server or an idle connection ended it. */
  async #nextChange(before: Routing, resourceVersion: string): Promise<RoutingChange> {
    const { group, version, namespace, plural, name } = this.#resource;
    const path = `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
    const query = { fieldSelector: `metadata.name=${name}`, resourceVersion };
    for (;;) {
      const change = await new Promise<RoutingChange | undefined>((resolve, reject) => {
        const onEvent = (_type: string, object: VirtualService): void => {
          const at = Date.now();
          const routing = object.spec && routingOf(object);
          if (routing && routing.generation !== before.generation) resolve({ ...routing, at });
        };
        const onEnd = (error: unknown): void => {
          if (error && (error as Error).name !== "TimeoutError") reject(error);
          else resolve(undefined);
        };
        new Watch(this.#kubeConfig).watch(path, query, onEvent, onEnd).then((request) => {
          if (this.#ended.signal.aborted) request.abort();
          this.#ended.signal.addEventListener("abort", () => request.abort(), { once: true });
        }, reject);
      });
      if (change) return change;
      this.#ended.signal.throwIfAborted();
    }
  }
}

function routingOf({ metadata, spec }: VirtualService): Routing {
  const route = spec.http?.[0];
  const weights = (route?.route ?? []).map(({ destination, weight }) => [
    destination.subset ?? "",
    weight ?? 0,
  ]);
  return {
    ...(route?.name ? { name: route.name } : {}),
    weights: Object.fromEntries(weights),
    generation: metadata.generation,
  };
}

/** The access log of all ingress gateway pods, from the given time on (milliseconds since the epoch, to the second). */
export async function gatewayLog(kubeconfig: string, since: number): Promise<string> {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfig);
  const core = kubeConfig.makeApiClient(CoreV1Api);
  const namespace = "istio-system";
  const pods = await core.listNamespacedPod({ namespace, labelSelector: "istio=ingressgateway" });
  const sinceSeconds = Math.max(1, Math.ceil((Date.now() - since) / 1000));
  const logs = pods.items.map((pod) =>
    core.readNamespacedPodLog({
      name: pod.metadata?.name ?? "",
      namespace,
      container: "istio-proxy",
      sinceSeconds,
    }),
  );
  return (await Promise.all(logs)).join("\n");
}
