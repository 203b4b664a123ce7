/**
 * Where the picture comes from: the API server, and Prometheus behind its proxy or at an address of its own.
 */
import type { KubernetesApi } from "../clients/kubernetes.ts";
import { getFrom, type PrometheusAddress } from "../components/monitoring/prometheusAt.ts";
import { ALERT_LABELS } from "../components/monitoring/rules.ts";
import { readVirtualService, type VirtualServiceLike } from "../mesh/istio.ts";
import { measure } from "./measure.ts";
import { type Link, type Picture, pictureOf, type Setting, type WeightChange } from "./picture.ts";
import { firingAlerts, type PrometheusGet } from "./prometheus.ts";
import { prometheusTrouble } from "./prometheusPod.ts";

/** A Service that is reached through the API server's proxy. */
export interface ServiceRef {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
}

/** A stack's outputs, as far as the picture needs them. */
export interface SourceArgs {
  readonly api: KubernetesApi;
  /** The test page, for the reader to open. */
  readonly url: string;
  /** Namespace of the application. */
  readonly namespace: string;
  /** Version names, in the order of the page. */
  readonly versions: readonly string[];
  /** Workload of the ingress gateway. @default istio-ingressgateway */
  readonly gateway?: string | undefined;
  /** Backend in haproxy.cfg. @default k8s-istio-ingress-gateway */
  readonly backend?: string | undefined;
  /** Prometheus that the program deployed, or the address of one that was there. */
  readonly prometheus: ServiceRef | PrometheusAddress;
  /** Seconds between two scrapes. */
  readonly scrapeSeconds: number;
  /** Links to traces; none without tracing. */
  readonly links: readonly Link[];
  /** Longest time for one answer of the API server, in milliseconds. @default 5000 */
  readonly answerMs?: number | undefined;
}

/** Path of a Service behind the API server's proxy, without a slash at the end. */
export const proxyPath = ({ namespace, service, port }: ServiceRef) =>
  `/api/v1/namespaces/${namespace}/services/${service}:${port}/proxy`;

/** Most changes of weights that the page lists. */
const CHANGES = 20;

/** Measures on each call; remembers when the weights changed. */
export class Source {
  readonly #args: SourceArgs;
  #changes: readonly WeightChange[] = [];

  constructor(args: SourceArgs) {
    this.#args = args;
  }

  /** @throws Error when the API server or Prometheus does not answer. */
  async picture(signal: AbortSignal): Promise<Picture> {
    const { url, namespace, gateway, backend, scrapeSeconds, links } = this.#args;
    const { weights: routed, changedAt } = await this.#weights();
    const weights = inOrder(routed, this.#args.versions);
    this.#remember(weights, changedAt);
    const versions = Object.keys(weights);
    const get = this.#get();
    const [measured, pods, alerts] = await Promise.all([
      measure({ get, namespace, gateway, backend, versions, scrapeSeconds, signal }),
      this.#pods(versions),
      firingAlerts(get, signal),
    ]);
    const problems = [
      ...clockProblems(measured.clockAhead),
      ...alerts
        .filter(({ labels }) => labels.part_of === ALERT_LABELS.part_of)
        .map(({ labels, summary }) => `Alert ${labels.alertname}: ${summary}.`),
      ...(measured.haproxy
        ? []
        : ["HAProxy is not measured: set stats.prometheus to an address that pods reach."]),
      ...(measured.gateway ? [] : ["The ingress gateway has reported no request yet."]),
    ];
    return pictureOf(measured, { url, weights, changes: this.#changes, pods, links, problems });
  }

  async #weights(): Promise<{ weights: Setting["weights"]; changedAt: number }> {
    const path = `/apis/networking.istio.io/v1/namespaces/${this.#args.namespace}/virtualservices/nginx`;
    const object = await this.#args.api.get<VirtualServiceLike & { metadata: Written }>(path, this.#limit());
    if (!object) throw new Error(`there is no VirtualService nginx in namespace ${this.#args.namespace}`);
    const times = (object.metadata.managedFields ?? []).map(({ time }) => Date.parse(time ?? ""));
    return {
      weights: readVirtualService(object).weights,
      changedAt: Math.max(...times.filter(Number.isFinite), 0),
    };
  }

  /** The first change is older than this dashboard: the API server has the time of the last write. */
  #remember(weights: Setting["weights"], writtenAt: number): void {
    const last = this.#changes.at(-1);
    if (last && JSON.stringify(last.weights) === JSON.stringify(weights)) return;
    const at = last ? Date.now() : writtenAt || Date.now();
    this.#changes = [...this.#changes, { at, weights }].slice(-CHANGES);
  }

  async #pods(versions: readonly string[]): Promise<Setting["pods"]> {
    const path = `/apis/apps/v1/namespaces/${this.#args.namespace}/deployments`;
    const { items } = await this.#args.api.list<Deployment>(path, { labelSelector: "app=nginx" });
    const found = versions.flatMap((name) => {
      const deployment = items.find(({ metadata }) => metadata.name === `nginx-${name}`);
      if (!deployment) return [];
      const { spec, status } = deployment;
      return [[name, { ready: status?.readyReplicas ?? 0, wanted: spec?.replicas ?? 1 }] as const];
    });
    return Object.fromEntries(found);
  }

  /** A page that waits for a cluster that is away says so within seconds. */
  #limit() {
    return { answerMs: this.#args.answerMs ?? 5000 };
  }

  #get(): PrometheusGet {
    const { api, prometheus } = this.#args;
    if ("url" in prometheus) {
      const where = `at ${prometheus.url}`;
      return (path, signal) => named(where, getFrom(prometheus, path, signal));
    }
    const prefix = proxyPath(prometheus);
    return async (path) => {
      const where = `in namespace ${prometheus.namespace}`;
      const answer = await named(where, api.get<unknown>(`${prefix}${path}`, this.#limit()), () =>
        prometheusTrouble(api, prometheus.namespace),
      );
      if (answer === undefined) throw new Error(`there is no Service ${prometheus.service} ${where}`);
      return answer;
    };
  }
}

/** Seconds between two clocks that the chart does not show. */
const CLOCKS_AGREE = 5;

function clockProblems(ahead: number): string[] {
  if (Math.abs(ahead) < CLOCKS_AGREE) return [];
  const seconds = `${Math.round(Math.abs(ahead))} s ${ahead > 0 ? "ahead of" : "behind"}`;
  return [`This machine's clock is ${seconds} Prometheus': the marks in the chart are off by that.`];
}

/** The errors of the API server and of fetch do not name the program that does not answer. */
async function named<T>(
  where: string,
  answer: Promise<T>,
  reason: () => Promise<string | undefined> = async () => undefined,
): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const why = await reason().catch(() => undefined);
    const words = why ?? (error as Error).message;
    throw new Error(`Prometheus ${where} does not answer: ${words}`, { cause: error });
  }
}

/** The weights in the order of the configuration; the VirtualService has them the other way round. */
function inOrder(weights: Setting["weights"], order: readonly string[]): Setting["weights"] {
  const names = [...new Set([...order.filter((name) => name in weights), ...Object.keys(weights)])];
  return Object.fromEntries(names.map((name) => [name, weights[name] ?? 0]));
}

interface Written {
  readonly managedFields?: readonly { readonly time?: string }[];
}

interface Deployment {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly readyReplicas?: number };
}
