/** The Deployments of the application that are there, and whether an update replaces their pods. */
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { apiVersionOf, pathOf } from "../../mesh/ownedObject.ts";
import { FIELD_MANAGER, OWNER_ANNOTATION } from "../../mesh/owner.ts";
import { TRIAL_MS } from "../../preflight/trials.ts";
import type { Version } from "./config.ts";
import { deploymentManifest } from "./manifests.ts";
import { deploymentObject } from "./objects.ts";

/** A Deployment as the API server has it. */
export interface Deployed extends KubernetesObject {
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: { readonly version?: string } };
    readonly template?: {
      readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
    };
  };
  readonly status?: { readonly replicas?: number };
}

/** The stack's own, by name. */
export async function ownDeployments(
  api: KubernetesApi,
  namespace: string,
  owner: string,
): Promise<ReadonlyMap<string, Deployed>> {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  const { items } = await api.list<Deployed>(path, { labelSelector: "app=nginx" });
  const own = items.filter(({ metadata }) => metadata.annotations?.[OWNER_ANNOTATION] === owner);
  return new Map(own.map((deployment) => [deployment.metadata.name, deployment]));
}

export interface RollsArgs {
  readonly namespace: string;
  readonly versions: readonly Version[];
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The stack. */
  readonly owner: string;
}

/**
 * Whether the settings give the pods another template. The API server tries the write that Pulumi's provider
 * would send. A change of the sidecar alone is not foreseen.
 */
export async function rolls(
  api: KubernetesApi,
  live: Deployed,
  version: Version,
  { namespace, versions, labels, owner }: RollsArgs,
): Promise<boolean> {
  const sidecar = live.spec?.template?.metadata?.annotations?.["istio-lab/sidecar"];
  const object = deploymentObject(namespace, version.name);
  const manifest = deploymentManifest(version, { namespace, versions, labels, sidecar, owner });
  const whole = { apiVersion: apiVersionOf(object), kind: object.kind, ...manifest };
  const options = { dryRun: true, force: true, fieldManager: FIELD_MANAGER, answerMs: TRIAL_MS };
  try {
    const { spec } = await api.apply<Deployed>(pathOf(object), whole, options);
    return JSON.stringify(spec?.template) !== JSON.stringify(live.spec?.template);
  } catch {
    // The trial of the Deployment reports why.
    return false;
  }
}
