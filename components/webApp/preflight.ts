/**
 * What the web application needs of a cluster: its namespace, rights, labels, and that its pods are accepted.
 */
import { pathOf } from "../../mesh/ownedObject.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";
import type { CheckContext, Findings, Permission, Preflight } from "../../preflight/capability.ts";
import type { Version } from "./config.ts";
import { ownDeployments } from "./deployed.ts";
import { checkNetworkPolicies, type NetworkPolicyNeeds } from "./networkPolicies.ts";
import { serviceObject, webAppObjects } from "./objects.ts";
import { checkPods, type PodCheckNeeds } from "./podCheck.ts";
import { webAppTrials } from "./trials.ts";

/** What the checks of the web application need of the configuration. */
export interface Needs {
  readonly namespace: string;
  readonly versions: readonly Version[];
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly istio: PodCheckNeeds["istio"] & NetworkPolicyNeeds["istio"];
}

export const webAppPreflight = {
  objects: webAppObjects,
  trials: webAppTrials,
  permissions,
  checks: [checkNamespace, checkInjection, checkLabels, checkPods, checkNetworkPolicies],
} satisfies Preflight<Needs>;

/**
 * The namespace is patched with the injection label; the wait for a Deployment watches what belongs to it.
 */
function permissions({ namespace }: Needs): Permission[] {
  const watched = ["list", "watch"];
  return [
    { verbs: ["get", "patch"], group: "", resource: "namespaces", namespace, name: namespace },
    { verbs: watched, group: "", resource: "pods", namespace },
    { verbs: watched, group: "apps", resource: "replicasets", namespace },
    { verbs: watched, group: "", resource: "persistentvolumeclaims", namespace },
  ];
}

async function checkNamespace({ api, config }: CheckContext<Needs>): Promise<Findings> {
  const { namespace } = config;
  const found = await api.metadata(`/api/v1/namespaces/${namespace}`);
  if (found && found.metadata.deletionTimestamp === undefined) return { faults: [] };
  const message = found
    ? `namespace is ${namespace}, which is being deleted: create it anew when it is gone (what holds it: ` +
      `kubectl get namespace ${namespace} --output=yaml), or set namespace to another one`
    : `namespace is ${namespace}, and ${api.where} has no such namespace; create it (kubectl create ` +
      `namespace ${namespace}), or set namespace to one that exists`;
  return { faults: [{ key: "namespace", message }] };
}

/**
 * Labels that decide about injection and that another manager has set. Once the stack is up, such a label is
 * drift, which an update sets back.
 */
async function checkInjection({ api, config, owner }: CheckContext<Needs>): Promise<Findings> {
  const { namespace } = config;
  const { revision } = config.istio;
  const [object, service] = await Promise.all([
    api.metadata(`/api/v1/namespaces/${namespace}`),
    api.metadata(pathOf(serviceObject(namespace))),
  ]);
  if (service?.metadata.annotations?.[OWNER_ANNOTATION] === owner) return { faults: [] };
  const { "istio-injection": injection, "istio.io/rev": rev } = object?.metadata.labels ?? {};
  const remove = (label: string) => `remove it (kubectl label namespace ${namespace} ${label}-)`;
  const has = `namespace ${namespace} has the label`;
  const messages = [
    rev !== undefined && rev !== revision
      ? `${has} istio.io/rev=${rev}: set istio.revision to ${rev}, or ${remove("istio.io/rev")}`
      : "",
    injection !== undefined && revision !== undefined
      ? `${has} istio-injection=${injection}, which counts more than istio.revision ${revision}: ` +
        `${remove("istio-injection")}, or leave istio.revision out`
      : "",
    injection !== undefined && injection !== "enabled" && revision === undefined
      ? `${has} istio-injection=${injection}, and the application needs sidecars: ` +
        `${remove("istio-injection")}, or set namespace to another one`
      : "",
  ];
  return { faults: messages.filter(Boolean).map((message) => ({ key: "namespace", message })) };
}

/**
 * A version that keeps its name and gets another label: its Deployment would have to be deleted before the
 * new one is made, and its share of the requests would fail meanwhile.
 */
async function checkLabels({ api, config, owner }: CheckContext<Needs>): Promise<Findings> {
  const { namespace, versions } = config;
  const own = await ownDeployments(api, namespace, owner);
  const faults = versions.flatMap(({ name, version }, index) => {
    const deployment = `nginx-${name}`;
    const label = own.get(deployment)?.spec?.selector?.matchLabels?.version;
    if (label === undefined || label === version) return [];
    const key = `versions[${index}].version`;
    const message =
      `${key} is ${version}, and the pods of Deployment ${deployment} in namespace ${namespace} have the ` +
      `label version=${label}, which a Deployment cannot change: give ${version} a name of its own, or ` +
      `do without ${name} for a while (kubectl delete --namespace=${namespace} deployment ${deployment})`;
    return [{ key, message }];
  });
  return { faults };
}
