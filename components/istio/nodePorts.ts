/** Whether the NodePorts that the settings give to Istio's gateways are free, and of the cluster's range. */
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { TRIAL_MS, wordsOf } from "../../preflight/trials.ts";

/** What the check needs of the configuration. */
export interface NodePortNeeds {
  /** Where the API server tries the Service. */
  readonly namespace: string;
  readonly istio: {
    readonly manage: boolean;
    readonly values?: Readonly<Record<string, unknown>> | undefined;
    readonly components?: Readonly<Record<string, unknown>> | undefined;
  };
}

interface Port {
  readonly nodePort?: unknown;
  readonly port?: unknown;
}

interface Service {
  readonly spec?: { readonly ports?: readonly { readonly nodePort?: number }[] };
}

/** The API server tries a Service with those that Istio's gateways do not have yet. */
export async function checkNodePorts({ api, config }: CheckContext<NodePortNeeds>): Promise<Findings> {
  if (!config.istio.manage) return { faults: [] };
  const given = givenNodePorts(config.istio);
  if (given.length === 0) return { faults: [] };
  const { items } = await api.list<Service>(`/api/v1/namespaces/${ISTIO_NAMESPACE}/services`);
  const own = new Set(items.flatMap(({ spec }) => spec?.ports ?? []).map(({ nodePort }) => nodePort));
  const added = given.filter((nodePort) => !own.has(nodePort));
  if (added.length === 0) return { faults: [] };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "istio-lab-preflight" },
    spec: {
      type: "NodePort",
      ports: added.map((nodePort) => ({ name: `p${nodePort}`, port: nodePort, nodePort })),
    },
  };
  const path = `/api/v1/namespaces/${config.namespace}/services`;
  const refusal = await wordsOf(api.create(path, service, { dryRun: true, answerMs: TRIAL_MS }));
  if (!refusal?.includes("nodePort")) return { faults: [] };
  const message =
    `the NodePorts of Istio's gateways in istio (${added.join(", ")}) cannot be had: ${refusal}: give ` +
    "others (kubectl get services --all-namespaces shows those in use), or leave them out";
  return { faults: [{ key: "istio", message }] };
}

/** Of the values of Istio's charts, and of the components' Services. */
function givenNodePorts({ values = {}, components = {} }: NodePortNeeds["istio"]): number[] {
  const { gateways } = values as { gateways?: Record<string, { ports?: unknown } | null> | null };
  const { ingressGateways } = components as { ingressGateways?: unknown };
  const lists = [
    ...Object.values(gateways ?? {}).map((gateway) => gateway?.ports),
    ...(Array.isArray(ingressGateways) ? ingressGateways : []).map(
      (gateway: { k8s?: { service?: { ports?: unknown } } } | null) => gateway?.k8s?.service?.ports,
    ),
  ];
  const ports = lists.flatMap((list) => (Array.isArray(list) ? (list as (Port | null)[]) : []));
  const numbers = ports.map((port) => port?.nodePort).filter((nodePort) => typeof nodePort === "number");
  return [...new Set(numbers)].filter((nodePort) => nodePort > 0);
}
