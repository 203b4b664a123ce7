/** Telemetry objects of others: whether Istio prefers them, and what they switch off. Pure. */
import { type Labels, selects } from "./selector.ts";

/** The part of a Telemetry that is read. */
export interface TelemetryLike {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly creationTimestamp?: string;
  };
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Labels };
    readonly metrics?: readonly {
      readonly overrides?: readonly {
        readonly match?: { readonly metric?: string; readonly mode?: string };
        readonly disabled?: boolean;
        readonly tagOverrides?: Readonly<Record<string, { readonly operation?: string }>>;
      }[];
    }[];
  };
}

/** The path of a namespace's Telemetry objects at an API server. */
export const telemetriesPath = (namespace: string) =>
  `/apis/telemetry.istio.io/v1/namespaces/${namespace}/telemetries`;

/** `NAMESPACE/NAME`. */
export const telemetryName = ({ metadata }: TelemetryLike) => `${metadata.namespace}/${metadata.name}`;

/**
 * Of the Telemetry objects whose selectors choose a pod, Istio takes the oldest and leaves out the others.
 * @param own name of the lab's own
 * @param labels of the pod
 */
export function preferredTelemetry(
  telemetries: readonly TelemetryLike[],
  own: string,
  labels: Labels,
): TelemetryLike | undefined {
  const mine = telemetries.find(({ metadata }) => metadata.name === own);
  const age = ({ metadata }: TelemetryLike) => Date.parse(metadata.creationTimestamp ?? "") || 0;
  return telemetries.find((one) => {
    const { matchLabels = {} } = one.spec?.selector ?? {};
    if (one === mine || Object.keys(matchLabels).length === 0) return false;
    return selects({ matchLabels }, labels) && (!mine || age(one) < age(mine));
  });
}

/** What the lab's queries read, by Istio's own names for the metrics. */
const NEEDED = ["ALL_METRICS", "REQUEST_COUNT", "REQUEST_DURATION"];
const NEEDED_LABELS = [
  "reporter",
  "source_workload",
  "destination_workload",
  "destination_workload_namespace",
  "response_code",
];

/** What a Telemetry takes from the metrics that the lab needs, e.g. `REQUEST_COUNT`. */
export function removedMetrics({ spec }: TelemetryLike): string[] {
  const overrides = (spec?.metrics ?? []).flatMap((one) => one.overrides ?? []);
  return overrides.flatMap(({ match, disabled, tagOverrides = {} }) => {
    const metric = match?.metric ?? "ALL_METRICS";
    // The gateway and its view of the versions are the client's side.
    if (match?.mode === "SERVER" || !NEEDED.includes(metric)) return [];
    const labels = Object.entries(tagOverrides).filter(
      ([label, { operation }]) => operation === "REMOVE" && NEEDED_LABELS.includes(label),
    );
    return [...(disabled ? [metric] : []), ...labels.map(([label]) => `the label ${label} of ${metric}`)];
  });
}
