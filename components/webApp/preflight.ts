/** Labels that a Deployment of the stack has for good. */

import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";

export interface LabelArgs {
  /** The stack, as it stands in the annotation istio-lab/owner. */
  readonly owner: string;
  /** Namespace of the application. */
  readonly namespace: string;
  /** The application's versions: name and value of the pods' label `version`. */
  readonly versions: readonly { readonly name: string; readonly version: string }[];
}

/**
 * A version that keeps its name and gets another label, one a line: its Deployment would have to be deleted
 * before the new one is made, and its share of the requests fail meanwhile.
 */
export async function labelFaults(
  api: KubernetesApi,
  { owner, namespace, versions }: LabelArgs,
): Promise<string[]> {
  const list = await api.get<{ items?: Deployment[] }>(
    `/apis/apps/v1/namespaces/${namespace}/deployments?labelSelector=app%3Dnginx`,
  );
  const ours = (list?.items ?? []).filter(
    ({ metadata }) => metadata.annotations?.[OWNER_ANNOTATION] === owner,
  );
  return versions.flatMap(({ name, version }, index) => {
    const deployment = `nginx-${name}`;
    const label = ours.find(({ metadata }) => metadata.name === deployment)?.spec?.selector?.matchLabels
      ?.version;
    if (label === undefined || label === version) return [];
    return [
      `versions[${index}].version is ${version}, and the pods of Deployment ${deployment} in namespace ${namespace} have the label version=${label}, which a Deployment cannot change: give ${version} a name of its own, or do without ${name} for a while (kubectl delete --namespace=${namespace} deployment ${deployment})`,
    ];
  });
}

interface Deployment extends KubernetesObject {
  readonly spec?: { readonly selector?: { readonly matchLabels?: { readonly version?: string } } };
}
