/** Whether namespace istio-system, where it is there already, accepts the pods of Istio. */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { TRIAL_MS, wayOutOf, wordsOf } from "../../preflight/trials.ts";
import { hasCni } from "./cni.ts";
import { imageOf } from "./image.ts";
import { controlPlanes } from "./installed.ts";

/** What the check needs of the configuration. */
export interface IstioPodNeeds {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly istio: {
    readonly version: string;
    readonly manage: boolean;
    readonly hub?: string | undefined;
    readonly tag?: string | undefined;
    readonly values?: Readonly<Record<string, unknown>> | undefined;
    readonly components?: Readonly<Record<string, unknown>> | undefined;
  };
}

/**
 * Has the API server try a pod of each kind that an update adds. A namespace that the claim makes suits them.
 */
export async function checkIstioPods({ api, config }: CheckContext<IstioPodNeeds>): Promise<Findings> {
  if (!config.istio.manage) return { faults: [] };
  const home = await api.metadata(`/api/v1/namespaces/${ISTIO_NAMESPACE}`);
  if (!home) return { faults: [] };
  if (home.metadata.deletionTimestamp !== undefined)
    return { faults: [{ key: "istio", message: TERMINATING }] };
  const pods = await addedPods(api, config);
  const path = `/api/v1/namespaces/${ISTIO_NAMESPACE}/pods`;
  const tried = await Promise.all(
    pods.map(async (pod) => {
      const { name } = pod.metadata;
      const refusal = await wordsOf(api.create(path, pod, { dryRun: true, answerMs: TRIAL_MS }));
      return { name, refusal: refusal?.replaceAll(`"${name}"`, "").replace(/ {2,}/g, " ") };
    }),
  );
  const refused = tried.flatMap(({ name, refusal }) => (refusal === undefined ? [] : [{ name, refusal }]));
  const byRefusal = Map.groupBy(refused, ({ refusal }) => refusal);
  const messages = [...byRefusal].map(
    ([refusal, found]) =>
      `namespace ${ISTIO_NAMESPACE} does not accept pods of ${found.map(({ name }) => name).join(", ")}: ` +
      `${refusal}: ${wayOutOfIstio(refusal)}`,
  );
  return { faults: messages.map((message) => ({ key: "istio", message })) };
}

const TERMINATING =
  `namespace ${ISTIO_NAMESPACE} is being deleted: run this again when it is gone ` +
  `(what holds it: kubectl get namespace ${ISTIO_NAMESPACE} --output=yaml)`;

/** What a user can do where the cluster refuses a pod of Istio's own. */
export function wayOutOfIstio(refusal: string): string {
  if (refusal.includes("PodSecurity"))
    return (
      `let the namespace run them (kubectl label --overwrite namespace ${ISTIO_NAMESPACE} ` +
      "pod-security.kubernetes.io/enforce=privileged)"
    );
  if (/quota|limit|usage per|priority ?class/i.test(refusal))
    return (
      "set other resources in istio.values (pilot.resources for istiod), or have the ResourceQuota or " +
      `LimitRange of namespace ${ISTIO_NAMESPACE} changed (Istio's CNI needs the PriorityClass ` +
      "system-node-critical)"
    );
  if (/webhook/.test(refusal) && !/denied/.test(refusal)) return wayOutOf(refusal);
  return (
    "give what the policy requires (setting labels; istio.hub, istio.values and istio.components), or have " +
    `namespace ${ISTIO_NAMESPACE} exempted from it`
  );
}

/** Pods that run already are not tried again. */
async function addedPods(api: KubernetesApi, config: IstioPodNeeds): Promise<TrialPod[]> {
  const cni = hasCni(config.istio);
  const [planes, agent] = await Promise.all([
    controlPlanes(api),
    cni ? api.metadata(`/apis/apps/v1/namespaces/${ISTIO_NAMESPACE}/daemonsets/istio-cni-node`) : undefined,
  ]);
  const isNew = planes.length === 0;
  return [
    ...(isNew ? [istiodPod(config), gatewayPod(config)] : []),
    ...(cni && !agent ? [cniPod(config)] : []),
  ];
}

type TrialPod = ReturnType<typeof istiodPod>;

const UNPRIVILEGED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
};

function istiodPod(config: IstioPodNeeds) {
  const { pilot } = (config.istio.values ?? {}) as { pilot?: { resources?: object } };
  return podOf(config, "istiod", { app: "istiod", istio: "pilot" }, "pilot", {
    securityContext: UNPRIVILEGED,
    ...(pilot?.resources ? { resources: pilot.resources } : { resources: ISTIOD_RESOURCES }),
  });
}

/** Of the demo profile; other profiles reserve more. */
const ISTIOD_RESOURCES = { requests: { cpu: "10m", memory: "100Mi" } };

const GATEWAY_RESOURCES = {
  requests: { cpu: "10m", memory: "40Mi" },
  limits: { cpu: "2000m", memory: "1024Mi" },
};

const gatewayPod = (config: IstioPodNeeds) =>
  podOf(config, "istio-ingressgateway", { app: "istio-ingressgateway", istio: "ingressgateway" }, "proxyv2", {
    securityContext: { ...UNPRIVILEGED, runAsUser: 1337, runAsGroup: 1337 },
    resources: GATEWAY_RESOURCES,
  });

/** It writes to the node's directories, and changes the network of pods. */
const cniPod = (config: IstioPodNeeds) =>
  podOf(
    config,
    "istio-cni-node",
    { "k8s-app": "istio-cni-node" },
    "install-cni",
    {
      securityContext: {
        privileged: false,
        runAsUser: 0,
        runAsGroup: 0,
        runAsNonRoot: false,
        capabilities: {
          drop: ["ALL"],
          add: ["NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_ADMIN", "DAC_OVERRIDE"],
        },
      },
      resources: { requests: { cpu: "100m", memory: "100Mi" } },
      volumeMounts: [{ name: "cni-bin-dir", mountPath: "/host/opt/cni/bin" }],
    },
    {
      priorityClassName: "system-node-critical",
      volumes: [{ name: "cni-bin-dir", hostPath: { path: "/opt/cni/bin" } }],
    },
  );

function podOf(
  { labels, istio }: IstioPodNeeds,
  name: string,
  own: Readonly<Record<string, string>>,
  image: string,
  container: object,
  spec: object = {},
) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { ...labels, ...own, "sidecar.istio.io/inject": "false" } },
    spec: { ...spec, containers: [{ name: "istio", image: imageOf(istio, image), ...container }] },
  };
}
