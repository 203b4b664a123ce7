/** The IstioOperator that istioctl reads: the profile with this stack's changes. Pure. */
import { stringify } from "yaml";
import { ISTIO_GATEWAY } from "../../mesh/model.ts";
import { type ChartValues, mergeValues } from "./values.ts";

export interface OperatorArgs {
  readonly version: string;
  readonly profile: string;
  readonly hub?: string | undefined;
  readonly tag?: string | undefined;
  readonly values?: ChartValues | undefined;
  readonly components?: Readonly<Record<string, unknown>> | undefined;
  /** Further labels of Istio's own Deployments and pods. @default none */
  readonly labels?: Labels | undefined;
}

type Labels = Readonly<Record<string, string>>;

export function istioOperator({ version, profile, hub, tag, labels, ...given }: OperatorArgs): string {
  const isLabelled = isGiven(labels);
  const values = isLabelled ? mergeValues(given.values ?? {}, labelValues(labels)) : given.values;
  const components = isLabelled ? labelledGateways(profile, given.components, labels) : given.components;
  return stringify(
    {
      apiVersion: "install.istio.io/v1alpha1",
      kind: "IstioOperator",
      spec: {
        profile,
        ...(hub === undefined ? {} : { hub }),
        tag: tag ?? version,
        ...(isGiven(components) ? { components } : {}),
        ...(isGiven(values) ? { values } : {}),
      },
    },
    { aliasDuplicateObjects: false },
  );
}

const isGiven = <T extends object>(part: T | undefined): part is T =>
  part !== undefined && Object.keys(part).length > 0;

const labelValues = (labels: Labels): ChartValues => ({
  pilot: { deploymentLabels: labels, podLabels: labels },
  cni: { daemonSetLabels: labels, podLabels: labels },
});

interface Gateway {
  readonly name?: unknown;
  readonly k8s?: { readonly overlays?: readonly unknown[] };
}

/**
 * The gateways' charts have no value for labels but one that counts for their selectors too, which a
 * Deployment cannot change; hence overlays. istioctl takes a list as a whole, not merged with the profile's.
 */
function labelledGateways(
  profile: string,
  components: Readonly<Record<string, unknown>> = {},
  labels: Labels,
): Record<string, unknown> {
  const { ingressGateways, egressGateways } = components;
  const ingress = listOf(ingressGateways) ?? [{ name: ISTIO_GATEWAY.service, enabled: true }];
  // Of Istio's profiles, only demo has one.
  const egress =
    listOf(egressGateways) ?? (profile === "demo" ? [{ name: EGRESS_GATEWAY, enabled: true }] : undefined);
  return {
    ...components,
    ingressGateways: ingress.map((gateway) => labelled(gateway, ISTIO_GATEWAY.service, labels)),
    ...(egress && { egressGateways: egress.map((gateway) => labelled(gateway, EGRESS_GATEWAY, labels)) }),
  };
}

const EGRESS_GATEWAY = "istio-egressgateway";

const listOf = (list: unknown) => (Array.isArray(list) ? (list as readonly Gateway[]) : undefined);

function labelled(gateway: Gateway, otherwise: string, labels: Labels): Gateway {
  const name = typeof gateway.name === "string" ? gateway.name : otherwise;
  const places = ["metadata.labels", "spec.template.metadata.labels"];
  const patches = places.flatMap((place) =>
    Object.entries(labels).map(([label, value]) => ({
      path: `${place}.${label.replaceAll(".", "\\.")}`,
      value,
    })),
  );
  const overlay = { kind: "Deployment", name, patches };
  return { ...gateway, k8s: { ...gateway.k8s, overlays: [...(gateway.k8s?.overlays ?? []), overlay] } };
}
