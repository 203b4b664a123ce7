/** Prometheus' Deployment, Service and volume. Pure. */
import type * as k8s from "@pulumi/kubernetes";
import { metadataOf } from "../../mesh/ownedObject.ts";
import { amountOf } from "../../mesh/quantity.ts";
import { prometheusObjects } from "./objects.ts";

/** TCP port of Prometheus' HTTP API. */
export const PROMETHEUS_PORT = 9090;

export interface PrometheusArgs {
  readonly image: string;
  /** E.g. `24h`. */
  readonly retention: string;
  /** The most memory that Prometheus may take, e.g. `512Mi`. */
  readonly memory: string;
  /** A claim of that size. @default an emptyDir */
  readonly storage?: { readonly size: string; readonly storageClass?: string | undefined } | undefined;
  /** Hash of what the pod has to be restarted for. */
  readonly configHash: string;
  /** Further labels of the Deployment and its pod. @default none */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly owner: string;
}

/** Label `app` of Prometheus' pods. */
export const PROMETHEUS_APP = "istio-lab-prometheus";
const LABELS = { app: PROMETHEUS_APP };
/** What Prometheus asks a node for; the limit is no less. */
export const LEAST_MEMORY = "128Mi";
/** User and group `nobody`, which own the data directory of the official image. */
const NOBODY = 65534;

/**
 * The most that samples take of a node's disk where no volume is configured; the kubelet evicts the pod above
 * it.
 */
const EMPTY_DIR_SIZE = "2Gi";

/**
 * For the end of Prometheus, which takes a second; what it has not written by then is in its write-ahead log.
 * A namespace with a pod is looked at again after half of this time, also where the pod ends earlier.
 */
const GRACE_SECONDS = 5;

/**
 * The oldest samples go when they fill four fifths of the volume: Prometheus stores nothing on a full one.
 * The rest is room for the write-ahead log and for compaction. Prometheus counts 1 MB as 2^20 bytes.
 * @param size a quantity, e.g. `2Gi`
 */
export function retentionSize(size: string): string {
  return `${Math.max(1, Math.floor((0.8 * amountOf(size)) / 2 ** 20))}MB`;
}

/**
 * A change of the weights changes the rules and must not lose the samples: Prometheus reloads its files
 * (auto-reload-config, Prometheus 3), and the pod stays. A changed scrape configuration rolls it.
 */
export function deploymentOf(args: PrometheusArgs): k8s.types.input.apps.v1.Deployment {
  const labels = { ...args.labels, ...LABELS };
  const annotations = { "istio-lab/scrape": args.configHash, "sidecar.istio.io/inject": "false" };
  return {
    metadata: metadataOf(prometheusObjects.deployment, { owner: args.owner, labels }),
    spec: {
      replicas: 1,
      selector: { matchLabels: LABELS },
      // Two Prometheus cannot share a data directory.
      strategy: { type: "Recreate" },
      template: { metadata: { labels, annotations }, spec: podOf(args) },
    },
  };
}

function podOf(args: PrometheusArgs): k8s.types.input.core.v1.PodSpec {
  const { configMap, serviceAccount, claim } = prometheusObjects;
  const { storage } = args;
  return {
    serviceAccountName: serviceAccount.name,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: NOBODY,
      runAsGroup: NOBODY,
      fsGroup: NOBODY,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [containerOf(args)],
    volumes: [
      { name: "config", configMap: { name: configMap.name } },
      storage
        ? { name: "data", persistentVolumeClaim: { claimName: claim.name } }
        : { name: "data", emptyDir: { sizeLimit: EMPTY_DIR_SIZE } },
    ],
  };
}

function containerOf({
  image,
  retention,
  memory,
  storage,
}: PrometheusArgs): k8s.types.input.core.v1.Container {
  const size = storage?.size ?? EMPTY_DIR_SIZE;
  return {
    name: "prometheus",
    image,
    args: [
      "--config.file=/etc/prometheus/prometheus.yml",
      "--storage.tsdb.path=/prometheus",
      `--storage.tsdb.retention.time=${retention}`,
      `--storage.tsdb.retention.size=${retentionSize(size)}`,
      "--enable-feature=auto-reload-config",
    ],
    ports: [{ name: "http", containerPort: PROMETHEUS_PORT }],
    readinessProbe: { httpGet: { path: "/-/ready", port: "http" }, periodSeconds: 2 },
    livenessProbe: {
      httpGet: { path: "/-/healthy", port: "http" },
      periodSeconds: 10,
      failureThreshold: 6,
    },
    resources: { requests: { cpu: "50m", memory: LEAST_MEMORY }, limits: { memory } },
    securityContext: {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "config", mountPath: "/etc/prometheus", readOnly: true },
      { name: "data", mountPath: "/prometheus" },
    ],
  };
}

export function claimOf({ size, storageClass }: NonNullable<PrometheusArgs["storage"]>) {
  return {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: size } },
    ...(storageClass ? { storageClassName: storageClass } : {}),
  };
}

export function serviceSpec() {
  return { selector: LABELS, ports: [{ name: "http", port: PROMETHEUS_PORT, targetPort: "http" }] };
}
