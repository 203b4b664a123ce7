/** Whether the cluster would accept the application's pods: Pod Security, quotas, limits, webhooks. */
import { type KubernetesApi, unlessForbidden } from "../../clients/kubernetes.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { TRIAL_MS, wayOutOf, wordsOf } from "../../preflight/trials.ts";
import { hasCni } from "../istio/cni.ts";
import { imageOf } from "../istio/image.ts";
import type { Version } from "./config.ts";
import { type Deployed, ownDeployments, rolls } from "./deployed.ts";
import { deploymentObject } from "./objects.ts";
import { podTemplate } from "./pod.ts";
import { type Demand, type PodSpec, type ResourceQuota, shortagesOf } from "./quota.ts";

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

/**
 * Has the API server try one pod of each version, with the sidecar that Istio will add, and create none. A
 * quota counts all pods together.
 */
export async function checkPods({ api, config, owner }: CheckContext<PodCheckNeeds>): Promise<Findings> {
  const { namespace, versions } = config;
  const [tried, quotas, own] = await Promise.all([
    Promise.all(versions.map((version) => tryPod(api, config, version))),
    quotasOf(api, namespace),
    ownDeployments(api, namespace, owner),
  ]);
  const all = tried.map(({ version, pod }) => {
    const deployment = own.get(deploymentObject(namespace, version.name).name);
    return { version, pod, deployment, existing: deployment?.status?.replicas ?? 0 };
  });
  const demands = all.map(
    ({ version, pod, deployment, existing }): Demand => ({
      pods: Math.max(0, version.replicas - existing),
      pod,
      deployment: deployment === undefined,
    }),
  );
  const shortages = shortagesOf(quotas, demands);
  const full = shortages.length > 0 || quotas.length === 0;
  const stuck = full ? [] : await stuckRollouts({ api, config, owner }, all, quotas, demands);
  const refusals = tried.flatMap(({ version, refusal }) => {
    // Of a stack that is up, only a rollout needs one pod more than those that are counted; see below.
    const isCounted = shortages.length > 0 || own.has(deploymentObject(namespace, version.name).name);
    return refusal === undefined || (isCounted && refusal.includes("exceeded quota"))
      ? []
      : [{ version, refusal }];
  });
  const messages = [
    ...messagesOf(refusals, config),
    ...shortages.map((lack) => tooFew(`all pods of ${namesOf(versions)}`, lack, config)),
    ...stuck,
  ];
  return { faults: messages.map((message) => ({ key: "namespace", message })) };
}

interface Refusal {
  readonly version: Version;
  /** The API server's own words. */
  readonly refusal: string;
}

function messagesOf(refusals: readonly Refusal[], config: PodCheckNeeds): string[] {
  const byMessage = Map.groupBy(refusals, ({ version, refusal }) =>
    refusal.replaceAll(`"${podName(version)}"`, "").replace(/ {2,}/g, " "),
  );
  return [...byMessage].map(([refusal, found]) => {
    const names = found.map(({ version }) => version.name).join(", ");
    return (
      `namespace ${config.namespace} does not accept pods of ${names}: ` +
      `${refusal}: ${wayOut(refusal, config)}`
    );
  });
}

interface Counted {
  readonly version: Version;
  readonly pod: PodSpec;
  /** Undefined: the update makes it. */
  readonly deployment: Deployed | undefined;
  /** Pods that it has. */
  readonly existing: number;
}

/**
 * A rollout adds a pod before it takes one away. Where a quota has no room for that pod, no rollout goes on;
 * where there is room for one, the rollouts go on one after the other.
 */
async function stuckRollouts(
  { api, config, owner }: Omit<CheckContext<PodCheckNeeds>, "signal">,
  all: readonly Counted[],
  quotas: readonly ResourceQuota[],
  demands: readonly Demand[],
): Promise<string[]> {
  const stuck = await Promise.all(
    all.map(async ({ version, pod, deployment, existing }) => {
      if (!deployment || existing > version.replicas) return [];
      const surge: Demand = { pods: 1, pod, deployment: false };
      const lacks = shortagesOf(quotas, [...demands, surge]);
      if (lacks.length === 0 || !(await rolls(api, deployment, version, { ...config, owner }))) return [];
      const what = `the rollout of ${version.name}, which needs one pod more than those that run`;
      return lacks.map((lack) => tooFew(what, lack, config));
    }),
  );
  return stuck.flat();
}

const namesOf = (versions: readonly Version[]) => versions.map(({ name }) => name).join(", ");

const tooFew = (what: string, shortage: string, { namespace }: PodCheckNeeds) =>
  `namespace ${namespace} has no room for ${what}: ` +
  `${shortage}: set fewer replicas or smaller resources of the versions ` +
  "(istio.values.global.proxy.resources for the sidecar), have the ResourceQuota changed, or set namespace " +
  "to another one";

const podName = ({ name }: Version) => `nginx-${name}`;

/** The pod as the API server completes it, e.g. by a LimitRange; as it was sent where it is refused. */
async function tryPod(api: KubernetesApi, config: PodCheckNeeds, version: Version) {
  const path = `/api/v1/namespaces/${config.namespace}/pods`;
  let pod: { readonly spec: PodSpec } = podOf(version, config);
  const trial = api.create<typeof pod>(path, pod, { dryRun: true, answerMs: TRIAL_MS }).then((complete) => {
    pod = complete;
  });
  const refusal = await wordsOf(trial);
  return { version, refusal, pod: pod.spec };
}

/** None where the user may not list them: the sum is a help, not a need. */
async function quotasOf(api: KubernetesApi, namespace: string): Promise<ResourceQuota[]> {
  const path = `/api/v1/namespaces/${namespace}/resourcequotas`;
  return (await unlessForbidden(api.list<ResourceQuota>(path)))?.items ?? [];
}

function podOf(version: Version, { namespace, labels, istio }: PodCheckNeeds) {
  const { metadata, spec } = podTemplate(version, { namespace, labels });
  const image = imageOf(istio, "proxyv2");
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
