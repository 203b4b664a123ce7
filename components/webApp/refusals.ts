/** Reports at once why a Deployment gets no pods: Pulumi's provider waits for minutes and does not say. */
import { setTimeout as delay } from "node:timers/promises";
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { KubernetesApi, type KubernetesObject, type Selection } from "../../clients/kubernetes.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";
import { type PodCheckNeeds, wayOut } from "./podCheck.ts";

export interface RefusalsArgs {
  /** The kubeconfig and the context in it. */
  readonly cluster: Selection;
  readonly config: PodCheckNeeds;
  /** The stack that owns the Deployments. */
  readonly owner: string;
}

interface Deployment extends KubernetesObject {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
  };
}

/** Between two checks; the first comes after this time too, so that an update without a rollout has none. */
const PERIOD_MS = 2000;

/** Warns of each refusal once, until the Deployments are ready. Does nothing in a preview. */
export function reportRefusals(deployments: readonly k8s.apps.v1.Deployment[], args: RefusalsArgs): void {
  if (pulumi.runtime.isDryRun()) return;
  let ready = false;
  pulumi.all(deployments.map(({ id }) => id)).apply(() => {
    ready = true;
  });
  const warn = (message: string) => void pulumi.log.warn(message, deployments[0]);
  watchRefusals(args, () => ready, warn).catch(() => {
    // Only a help: the update itself reports a cluster that does not answer.
  });
}

/** @param pause between two looks. @default 2 s, which do not keep the program alive */
export async function watchRefusals(
  { cluster, config, owner }: RefusalsArgs,
  isReady: () => boolean,
  warn: (message: string) => void,
  pause: () => Promise<unknown> = () => delay(PERIOD_MS, undefined, { ref: false }),
): Promise<void> {
  await pause();
  if (isReady()) return;
  const api = await KubernetesApi.connect(cluster);
  const warned = new Set<string>();
  try {
    while (!isReady()) {
      for (const refusal of await refusalsOf(api, config.namespace, owner)) {
        if (warned.has(refusal)) continue;
        warned.add(refusal);
        warn(`${refusal}: ${wayOut(refusal, config)}`);
      }
      await pause();
    }
  } finally {
    await api.close();
  }
}

/** The API server's own words, which the ReplicaSet hands to its Deployment. */
async function refusalsOf(api: KubernetesApi, namespace: string, owner: string): Promise<string[]> {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  const { items } = await api.list<Deployment>(path, { labelSelector: "app=nginx" });
  return items
    .filter(({ metadata }) => metadata.annotations?.[OWNER_ANNOTATION] === owner)
    .flatMap(({ metadata, status }) =>
      (status?.conditions ?? [])
        .filter((condition) => condition.type === "ReplicaFailure" && condition.status === "True")
        .map(({ message }) => `Deployment ${metadata.name} gets no pods: ${message}`),
    );
}
