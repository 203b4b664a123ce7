/**
 * Checks that the cluster has a volume for Prometheus' samples, for which the rollout would wait in vain, and
 * that a Prometheus of the user's own answers.
 */
import { unlessForbidden } from "../../clients/kubernetes.ts";
import { pathOf } from "../../mesh/ownedObject.ts";
import { amountOf } from "../../mesh/quantity.ts";
import type { CheckContext, Findings, Preflight } from "../../preflight/capability.ts";
import type { Fault } from "../../settings/faults.ts";
import type { MonitoringSettings } from "./config.ts";
import { prometheusObjects } from "./objects.ts";
import { getFrom, NoPrometheus } from "./prometheusAt.ts";
import { checkMetrics, type MetricsNeeds } from "./telemetries.ts";

/** The part of the configuration that the checks read. */
export interface Needs extends MetricsNeeds {
  readonly monitoring: MonitoringSettings | undefined;
}

export const monitoringPreflight = {
  checks: [checkStorage, checkUrl, checkMetrics],
} satisfies Preflight<Needs>;

/** For one answer of a Prometheus, in milliseconds. */
const LIMIT_MS = 2000;

/**
 * A warning where the address is not Prometheus'. It is no fault: nothing but the dashboard reads it, which
 * may run on another machine and bring credentials.
 */
async function checkUrl({ config, signal }: CheckContext<Pick<Needs, "monitoring">>): Promise<Findings> {
  const url = config.monitoring?.url;
  if (!url) return { faults: [] };
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  try {
    await getFrom({ url }, "/api/v1/query?query=1", limit);
    return { faults: [] };
  } catch (error) {
    if (!(error instanceof NoPrometheus) || error.kind === "credentials") return { faults: [] };
    const words =
      `monitoring.url is ${url}, and from this machine it does not answer as Prometheus ` +
      `(${error.message}): the dashboard has no figures until one answers there`;
    return { faults: [], warnings: [words] };
  }
}

/** The class of a claim that names none. */
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

/**
 * A StorageClass makes the volume, or a PersistentVolume of that class is there. A claim that is bound needs
 * neither. A user who may not list them gets no fault.
 */
async function checkStorage({ api, config }: CheckContext<Pick<Needs, "monitoring">>): Promise<Findings> {
  const storage = config.monitoring?.deployed?.storage;
  if (!storage) return { faults: [] };
  const [claim, classes, volumes] = await Promise.all([
    api.get<Claim>(pathOf(prometheusObjects.claim)),
    unlessForbidden(api.listMetadata("/apis/storage.k8s.io/v1/storageclasses")),
    unlessForbidden(api.list<Volume>("/api/v1/persistentvolumes")),
  ]);
  const unchangeable = claim ? claimFaults(claim, storage) : [];
  if (!classes || !volumes || unchangeable.length > 0) return { faults: unchangeable };
  const { storageClass } = storage;
  const isDefault = (annotations: Readonly<Record<string, string>> = {}) =>
    annotations[DEFAULT_CLASS] === "true";
  const made = classes.items.some(({ metadata }) =>
    storageClass === undefined ? isDefault(metadata.annotations) : metadata.name === storageClass,
  );
  const there = volumes.items.some(({ spec }) => (spec.storageClassName ?? "") === (storageClass ?? ""));
  if (made || there || claim?.status?.phase === "Bound") return { faults: [] };
  const names = classes.items.map(({ metadata }) => metadata.name).join(", ");
  return { faults: [faultOf(storageClass, names, api.where)] };
}

function faultOf(storageClass: string | undefined, names: string, where: string): Fault {
  const right = names
    ? `set monitoring.storage.storageClass to one of ${names}`
    : "make a StorageClass or a PersistentVolume, or leave monitoring.storage out: it has no StorageClass";
  return storageClass === undefined
    ? {
        key: "monitoring.storage",
        message: `monitoring.storage names no storageClass, and ${where} has no default one: ${right}`,
      }
    : {
        key: "monitoring.storage.storageClass",
        message:
          `monitoring.storage.storageClass is ${storageClass}, and ${where} has no StorageClass and no ` +
          `PersistentVolume of that name: ${right}`,
      };
}

/** The API server refuses a smaller size and another class, in the middle of the update. */
function claimFaults({ spec }: Claim, { size, storageClass }: StorageSettings): Fault[] {
  const there = spec?.resources?.requests?.storage;
  const { namespace, name } = prometheusObjects.claim;
  const wayOut = `or give up the samples: monitoring.enabled false, pulumi up, then on again`;
  const faults: Fault[] = [];
  if (there !== undefined && amountOf(there) > amountOf(size))
    faults.push({
      key: "monitoring.storage.size",
      message:
        `monitoring.storage.size is ${size}, and the claim ${namespace}/${name} has ${there}, which cannot ` +
        `shrink: set ${there} or more, ${wayOut}`,
    });
  const held = spec?.storageClassName;
  if (held !== undefined && storageClass !== undefined && held !== storageClass)
    faults.push({
      key: "monitoring.storage.storageClass",
      message:
        `monitoring.storage.storageClass is ${storageClass}, and the claim ${namespace}/${name} has ` +
        `${held || "none"}, which cannot change: set ${held || "none"}, ${wayOut}`,
    });
  return faults;
}

type StorageSettings = NonNullable<NonNullable<MonitoringSettings["deployed"]>["storage"]>;

interface Claim {
  readonly spec?: {
    readonly storageClassName?: string;
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
  readonly status?: { readonly phase?: string };
}

interface Volume {
  readonly spec: { readonly storageClassName?: string };
}
