/** Checks that the cluster has a volume for Prometheus' samples: the rollout would wait for it in vain. */
import { unlessForbidden } from "../../clients/kubernetes.ts";
import { pathOf } from "../../mesh/ownedObject.ts";
import type { CheckContext, Findings, Preflight } from "../../preflight/capability.ts";
import type { Fault } from "../../settings/faults.ts";
import type { MonitoringSettings } from "./config.ts";
import { prometheusObjects } from "./objects.ts";

/** The part of the configuration that the check reads. */
export interface Needs {
  readonly monitoring: MonitoringSettings | undefined;
}

export const monitoringPreflight = { checks: [checkStorage] } satisfies Preflight<Needs>;

/** The class of a claim that names none. */
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

/**
 * A StorageClass makes the volume, or a PersistentVolume of that class is there. A claim that is bound needs
 * neither. A user who may not list them gets no fault.
 */
async function checkStorage({ api, config }: CheckContext<Needs>): Promise<Findings> {
  const storage = config.monitoring?.deployed?.storage;
  if (!storage) return { faults: [] };
  const [claim, classes, volumes] = await Promise.all([
    api.get<Claim>(pathOf(prometheusObjects.claim)),
    unlessForbidden(api.listMetadata("/apis/storage.k8s.io/v1/storageclasses")),
    unlessForbidden(api.list<Volume>("/api/v1/persistentvolumes")),
  ]);
  if (!classes || !volumes) return { faults: [] };
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

interface Claim {
  readonly status?: { readonly phase?: string };
}

interface Volume {
  readonly spec: { readonly storageClassName?: string };
}
