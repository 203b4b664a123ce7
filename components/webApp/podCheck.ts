/** Whether the cluster would accept the application's pods: Pod Security, quotas, limits, webhooks. */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import { pathOf } from "../../mesh/ownedObject.ts";
import { OWNER_ANNOTATION } from "../../mesh/owner.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { TRIAL_MS, wayOutOf, wordsOf } from "../../preflight/trials.ts";
import type { Version } from "./config.ts";
import { deploymentObject } from "./objects.ts";
import { podTemplate } from "./pod.ts";

/** What the check needs of the configuration. */
export interface PodCheckNeeds {
  readonly namespace: string;
  readonly versions: readonly Version[];
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly istio: {
    readonly version: string;
    readonly hub?: string | undefined;
    readonly tag?: string | undefined;
    readonly values?: Readonly<Record<string, unknown>> | undefined;
    readonly components?: Readonly<Record<string, unknown>> | undefined;
    readonly revision?: string | undefined;
  };
}

/** Has the API server try one pod of each version, with the sidecar that Istio will add, and create none. */
export async function checkPods({ api, config, owner }: CheckContext<PodCheckNeeds>): Promise<Findings> {
  const refusals = await Promise.all(
    config.versions.map(async (version) => {
      const refusal = await refusalOf(api, config, version);
      // A rollout of the stack that is up would need this pod; an update without a rollout does not.
      const irrelevant = refusal?.includes("exceeded quota") && (await isUp(api, config, version, owner));
      return refusal && !irrelevant ? { version, refusal } : undefined;
    }),
  );
  const byMessage = Map.groupBy(
    refusals.filter((found) => found !== undefined),
    ({ version, refusal }) => refusal.replaceAll(`"${podName(version)}"`, "").replace(/ {2,}/g, " "),
  );
  const faults = [...byMessage].map(([refusal, found]) => {
    const names = found.map(({ version }) => version.name).join(", ");
    const message =
      `namespace ${config.namespace} does not accept pods of ${names}: ` +
      `${refusal}: ${wayOut(refusal, config)}`;
    return { key: "namespace", message };
  });
  return { faults };
}

const podName = ({ name }: Version) => `nginx-${name}`;

/** The API server's own words; undefined where it accepts the pod, or cannot try it. */
async function refusalOf(
  api: KubernetesApi,
  config: PodCheckNeeds,
  version: Version,
): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${config.namespace}/pods`;
  const trial = api.create(path, podOf(version, config), { dryRun: true, answerMs: TRIAL_MS });
  return await wordsOf(trial);
}

async function isUp(api: KubernetesApi, { namespace }: PodCheckNeeds, { name }: Version, owner: string) {
  const deployment = await api.metadata(pathOf(deploymentObject(namespace, name)));
  return deployment?.metadata.annotations?.[OWNER_ANNOTATION] === owner;
}

function podOf(version: Version, { namespace, labels, istio }: PodCheckNeeds) {
  const { metadata, spec } = podTemplate(version, { namespace, labels });
  const image = `${istio.hub ?? "docker.io/istio"}/proxyv2:${istio.tag ?? istio.version}`;
  const resources = proxyResources(istio.values);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: podName(version),
      // The sidecar is below, whether or not Istio is there already.
      labels: { ...metadata.labels, "sidecar.istio.io/inject": "false" },
      annotations: metadata.annotations,
    },
    spec: {
      ...spec,
      initContainers: hasCni(istio) ? [] : [{ name: "istio-init", image, resources, ...REDIRECTS_TRAFFIC }],
      containers: [...spec.containers, { name: "istio-proxy", image, resources, ...UNPRIVILEGED }],
    },
  };
}

/** Without Istio's CNI an init container of each pod redirects the pod's traffic to the sidecar. */
const REDIRECTS_TRAFFIC = {
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
    runAsNonRoot: false,
    runAsUser: 0,
    runAsGroup: 0,
  },
};

const UNPRIVILEGED = {
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    runAsNonRoot: true,
    runAsUser: 1337,
    runAsGroup: 1337,
  },
};

/** Those of Istio's charts, unless the values have others. */
function proxyResources(values: Readonly<Record<string, unknown>> = {}) {
  const { global } = values as { global?: { proxy?: { resources?: object } } };
  return (
    global?.proxy?.resources ?? {
      requests: { cpu: "100m", memory: "128Mi" },
      limits: { cpu: "2000m", memory: "1024Mi" },
    }
  );
}

function hasCni({ components, values }: PodCheckNeeds["istio"]): boolean {
  const { cni } = (components ?? {}) as { cni?: { enabled?: unknown } };
  const { pilot } = (values ?? {}) as { pilot?: { cni?: { enabled?: unknown } } };
  return cni?.enabled === true || pilot?.cni?.enabled === true;
}

/** What a user can do about a refusal. */
export function wayOut(refusal: string, { namespace, istio, versions }: PodCheckNeeds): string {
  const another = "or set namespace to another one";
  if (refusal.includes("PodSecurity")) {
    const settings = [
      ...(versions.every(({ securityContext }) => securityContext === "restricted")
        ? []
        : ["securityContext of each version to restricted"]),
      ...(hasCni(istio) ? [] : ["istio.components.cni.enabled to true"]),
    ];
    return (
      `${settings.length > 0 ? `set ${settings.join(" and ")}, or ` : ""}let the namespace run them ` +
      `(kubectl label --overwrite namespace ${namespace} pod-security.kubernetes.io/enforce=privileged), ` +
      `${another}`
    );
  }
  if (/quota|limit|usage per/i.test(refusal))
    return (
      "set resources of each version (and istio.values.global.proxy.resources for the sidecar), have the " +
      `namespace's ResourceQuota or LimitRange changed, ${another}`
    );
  return wayOutOf(refusal);
}
