/** Reports at once why pods do not start: Pulumi's provider waits for minutes and does not say. */
import { setTimeout as delay } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { KubernetesApi, Selection } from "../../clients/kubernetes.ts";
import { sharedApi } from "../../clients/sharedApi.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";
import { stalledIstio } from "./istioPods.ts";
import { type PodCheckNeeds, wayOut } from "./podCheck.ts";
import { type Deployment, podsOf, refusedPods, type Stall, stallsOf, type Warning } from "./stalledPods.ts";

export interface RefusalsArgs {
  /** The kubeconfig and the context in it. */
  readonly cluster: Selection;
  readonly config: PodCheckNeeds & { readonly istio: { readonly manage: boolean } };
  /** The stack that owns the Deployments. */
  readonly owner: string;
}

/** Between two checks; the first comes after this time too, so that an update without a rollout has none. */
const PERIOD_MS = 2000;

/**
 * Warns of each refusal once, until these resources are there. Does nothing in a preview.
 *
 * The warnings name no resource: Pulumi holds back a line about a resource until that resource is there.
 */
export function reportRefusals(awaited: readonly pulumi.Resource[], args: RefusalsArgs): void {
  if (pulumi.runtime.isDryRun()) return;
  let ready = false;
  pulumi.all(awaited.map(({ urn }) => urn)).apply(() => {
    ready = true;
  });
  const warn = (message: string) => void pulumi.log.warn(message);
  watchRefusals(args, () => ready, warn).catch(() => {
    // Only a help: the update itself reports a cluster that does not answer.
  });
}

/** @param pause between two checks. @default 2 s, which do not keep the program alive */
export async function watchRefusals(
  args: RefusalsArgs,
  isReady: () => boolean,
  warn: (message: string) => void,
  pause: () => Promise<unknown> = () => delay(PERIOD_MS, undefined, { ref: false }),
): Promise<void> {
  await pause();
  if (isReady()) return;
  const api = await sharedApi(args.cluster);
  const warned = new Set<string>();
  while (!isReady()) {
    const found = await Promise.all([
      refusalsOf(api, args),
      stalledOf(api, args),
      args.config.istio.manage ? stalledIstio(api) : [],
    ]);
    for (const { key, message } of found.flat()) {
      if (!warned.has(key)) warn(message);
      warned.add(key);
    }
    await pause();
  }
}

/** The API server's own words, which the ReplicaSet hands to its Deployment. */
async function refusalsOf(api: KubernetesApi, { config, owner }: RefusalsArgs): Promise<Warning[]> {
  const path = `/apis/apps/v1/namespaces/${config.namespace}/deployments`;
  const { items } = await api.list<Deployment>(path, { labelSelector: "app=nginx" });
  const refusals = items
    .filter(({ metadata }) => metadata.annotations?.[OWNER_ANNOTATION] === owner)
    .flatMap((deployment) =>
      refusedPods(deployment).map((words) => `Deployment ${deployment.metadata.name} gets no pods: ${words}`),
    );
  return refusals.map((refusal) => ({ key: refusal, message: `${refusal}: ${wayOut(refusal, config)}` }));
}

/** Pods of the application that were accepted and do not start. */
async function stalledOf(api: KubernetesApi, { config }: RefusalsArgs): Promise<Warning[]> {
  const { namespace, versions } = config;
  const pods = await podsOf(api, namespace, "app=nginx");
  return versions.flatMap(({ name, version }) =>
    pods
      .filter(({ metadata }) => metadata.labels?.version === version)
      .flatMap(stallsOf)
      .map(({ cause, key, words }) => ({
        key: `${name} ${key}`,
        message: `pods of Deployment nginx-${name} do not start: ${words}: ${WAYS_OUT[cause](namespace)}`,
      })),
  );
}

const WAYS_OUT: Readonly<Record<Stall["cause"], (namespace: string) => string>> = {
  image: (namespace) =>
    "correct image of that version (istio.hub and istio.tag for the sidecar), or let the nodes in at its " +
    "registry (a Secret in imagePullSecrets of ServiceAccount default: kubectl edit serviceaccount default " +
    `--namespace=${namespace})`,
  place: () =>
    "give the cluster more room, or for a taint a node without it; or that version fewer replicas or " +
    "smaller requests in resources " +
    "(istio.values.global.proxy.resources for the sidecar)",
  configuration: (namespace) =>
    `look with kubectl describe pods --namespace=${namespace} --selector=app=nginx`,
  crash: (namespace) =>
    `look with kubectl logs --namespace=${namespace} --selector=app=nginx --all-containers --previous`,
};
