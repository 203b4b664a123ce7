/** Monitoring and volumes that a lab's stack does not own. */
import { mkdir } from "node:fs/promises";
import { initPid } from "../../../embedded/machines/machine.ts";
import type { KubernetesObject, TestLab } from "./harness.ts";
import { prometheusImage } from "./metrics.ts";

const NAMESPACE = "monitoring";
const LABELS = { app: "prometheus" };

const inRoot = (name: string) => ({ name, namespace: "istio-system" });

/**
 * What another team sets for the whole mesh: mutual TLS everywhere, and no spans. The lab's tracing has its
 * own say for its own pods.
 */
export const MESH_POLICIES: readonly OthersObject[] = [
  {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: inRoot("default"),
    ...{ spec: { mtls: { mode: "STRICT" } } },
  },
  {
    apiVersion: "telemetry.istio.io/v1",
    kind: "Telemetry",
    metadata: inRoot("mesh-default"),
    ...{ spec: { tracing: [{ disableSpanReporting: true }] } },
  },
];

/** The Prometheus of another team in a namespace `monitoring`; it scrapes HAProxy and itself. */
export class OthersMonitoring {
  readonly #lab: TestLab;
  readonly #objects: readonly OthersObject[];

  /** @param lab with {@link MESH_POLICIES} and a Prometheus of its own, whose image this one has too */
  static async create(lab: TestLab): Promise<OthersMonitoring> {
    const image = await prometheusImage(lab);
    const objects = objectsOf(image, `${lab.instance.loadBalancer.address}:8404`);
    for (const object of objects) await lab.create(object);
    return new OthersMonitoring(lab, [...objects, ...MESH_POLICIES]);
  }

  private constructor(lab: TestLab, objects: readonly OthersObject[]) {
    this.#lab = lab;
    this.#objects = objects;
  }

  /** Where the host reaches it: a NodePort. */
  async url(): Promise<string> {
    const { spec } = await this.#lab.get<KubernetesObject & { spec: { ports: { nodePort: number }[] } }>(
      "service",
      "prometheus",
      `--namespace=${NAMESPACE}`,
    );
    return `http://${this.#lab.instance.workers[0]?.address}:${spec.ports[0]?.nodePort}`;
  }

  /** The objects' identities: what was deleted and made anew has another one. */
  uids(): Promise<(string | undefined)[]> {
    return Promise.all(
      this.#objects.map(async ({ kind, metadata: { name, namespace } }) => {
        const where = namespace ? [`--namespace=${namespace}`] : [];
        return (await this.#lab.get(kind, name, ...where)).metadata.uid;
      }),
    );
  }
}

interface OthersObject extends KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
}

function objectsOf(image: string, haproxy: string): readonly OthersObject[] {
  const metadata = { name: "prometheus", namespace: NAMESPACE };
  const config = {
    global: { scrape_interval: "2s", scrape_timeout: "2s" },
    scrape_configs: [
      { job_name: "haproxy", static_configs: [{ targets: [haproxy] }] },
      { job_name: "prometheus", static_configs: [{ targets: ["localhost:9090"] }] },
    ],
  };
  const data = { "prometheus.yml": JSON.stringify(config) };
  const container = {
    name: "prometheus",
    image,
    volumeMounts: [{ name: "config", mountPath: "/etc/prometheus" }],
  };
  const volumes = [{ name: "config", configMap: { name: metadata.name } }];
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
    // Names that the program uses in its own namespace.
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...metadata, namespace: "istio-system" } },
    // JSON is YAML.
    { apiVersion: "v1", kind: "ConfigMap", metadata, ...{ data } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { type: "NodePort", selector: LABELS, ports: [{ port: 9090 }] },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        selector: { matchLabels: LABELS },
        template: { metadata: { labels: LABELS }, spec: { containers: [container], volumes } },
      },
    },
  ];
}

/** A PersistentVolume on a worker. @returns the settings with which Prometheus' claim takes it */
export async function createVolume(lab: TestLab): Promise<Record<string, string>> {
  const [worker] = lab.instance.workers;
  if (!worker) throw new Error("the lab has no worker");
  const [path, storageClassName] = ["/var/lib/prometheus-data", "lab-local"];
  await mkdir(`/proc/${await initPid(worker)}/root${path}`, { recursive: true });
  const hostname = { key: "kubernetes.io/hostname", operator: "In", values: [worker.name] };
  await lab.create({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "prometheus-data" },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      storageClassName,
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [hostname] }] } },
    },
  });
  return { "monitoring.storage.size": "1Gi", "monitoring.storage.storageClass": storageClassName };
}
