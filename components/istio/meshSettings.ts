/** Whether the settings of the mesh hide the application from its gateway. */
import { parse } from "yaml";
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import { namespaceLabels } from "../../clients/namespaceLabels.ts";
import type { GatewayRef } from "../../mesh/model.ts";
import { injectionLabel, type Labels, type Selector, selects } from "../../mesh/selector.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import { controlPlanes, DEFAULT_REVISION, injectorsOf, revisionOf, servesRevision } from "./installed.ts";

/** What the check needs of the configuration. */
export interface MeshSettingsNeeds {
  readonly namespace: string;
  readonly istio: {
    readonly manage: boolean;
    readonly revision?: string | undefined;
    readonly gateway: GatewayRef;
    readonly values?: Readonly<Record<string, unknown>> | undefined;
  };
}

interface MeshConfig {
  readonly discoverySelectors?: readonly Selector[];
  readonly defaultServiceExportTo?: readonly string[];
  readonly defaultVirtualServiceExportTo?: readonly string[];
  readonly defaultDestinationRuleExportTo?: readonly string[];
}

/** What decides which namespaces see each other. */
export interface MeshSettings {
  readonly config: MeshConfig;
  /** True: a Gateway selects pods of its own namespace only. */
  readonly scoped: boolean;
  /** True: no pod gets a sidecar unless a label of its own demands it. @default false */
  readonly injectionOff?: boolean;
}

/** A namespace, and the labels that it will have. */
export interface Place {
  readonly name: string;
  readonly labels: Labels;
}

/** Why requests would not reach the application; one sentence each, without the way out. */
export function hiding(
  { config, scoped, injectionOff = false }: MeshSettings,
  app: Place,
  gateway: Place,
): string[] {
  const { discoverySelectors = [] } = config;
  const seen = ({ labels }: Place) =>
    discoverySelectors.length === 0 || discoverySelectors.some((selector) => selects(selector, labels));
  const unseen = [...new Map([app, gateway].map((place) => [place.name, place])).values()]
    .filter((place) => !seen(place))
    .map(
      ({ name }) =>
        `meshConfig.discoverySelectors leave out namespace ${name}, of which istiod then knows nothing: ` +
        "give it a label that they select",
    );
  if (injectionOff)
    unseen.push(
      "global.proxy.autoInject is disabled, so that no pod of the application gets a sidecar: set it to " +
        "enabled",
    );
  if (app.name === gateway.name) return unseen;
  const kept = (["Service", "VirtualService", "DestinationRule"] as const).filter((kind) => {
    const to = config[`default${kind}ExportTo`] ?? [];
    return to.length > 0 && !to.includes("*") && !to.includes(gateway.name);
  });
  return [
    ...unseen,
    ...kept.map(
      (kind) =>
        `meshConfig.default${kind}ExportTo keeps each ${kind} of namespace ${app.name} from the gateway in ` +
        `namespace ${gateway.name}: add "*" or that namespace`,
    ),
    ...(scoped
      ? [
          "PILOT_SCOPE_GATEWAY_TO_NAMESPACE is true, so that Gateways of namespace " +
            `${app.name} do not reach the gateway's pods in namespace ${gateway.name}: set it to false, or ` +
            "set namespace to the gateway's",
        ]
      : []),
  ];
}

/** Refuses where every request would get 404 or 503. */
export async function checkMeshSettings({ api, config }: CheckContext<MeshSettingsNeeds>): Promise<Findings> {
  const { namespace, istio } = config;
  const { revision, gateway } = istio;
  const own = injectionLabel(revision);
  const [settings, app, door] = await Promise.all([
    istio.manage ? settingsOf(istio.values) : installedSettings(api, revision),
    placeOf(api, namespace, own),
    placeOf(api, gateway.namespace, namespace === gateway.namespace ? own : {}),
  ]);
  if (settings === undefined) return { faults: [] };
  const where = istio.manage ? "istio.values: " : "the Istio in this cluster: ";
  const messages = hiding(settings, app, door).map((why) => `${where}${why}`);
  return { faults: messages.map((message) => ({ key: "istio", message })) };
}

async function placeOf(api: KubernetesApi, name: string, own: Labels): Promise<Place> {
  return { name, labels: { ...(await namespaceLabels(api, name)), ...own } };
}

/** Of the values of Istio's charts. */
function settingsOf(values: Readonly<Record<string, unknown>> = {}): MeshSettings {
  const { meshConfig, pilot, global } = values as {
    meshConfig?: MeshConfig;
    pilot?: { env?: Record<string, unknown> };
    global?: { proxy?: { autoInject?: unknown } };
  };
  const injectionOff = global?.proxy?.autoInject === "disabled";
  return { config: meshConfig ?? {}, scoped: isTrue(pilot?.env?.[SCOPE]), injectionOff };
}

const SCOPE = "PILOT_SCOPE_GATEWAY_TO_NAMESPACE";
const isTrue = (value: unknown) => String(value) === "true";

/** Of the istiod that is there; undefined where it, or its ConfigMap, cannot be read. */
async function installedSettings(
  api: KubernetesApi,
  revision: string | undefined,
): Promise<MeshSettings | undefined> {
  try {
    const [planes, injectors] = await Promise.all([controlPlanes(api), injectorsOf(api)]);
    const rev = revisionOf(injectors, revision ?? DEFAULT_REVISION);
    const istiod = planes.find((plane) => servesRevision(plane, rev));
    if (!istiod) return undefined;
    const suffix = rev === DEFAULT_REVISION ? "" : `-${rev}`;
    const path = `/api/v1/namespaces/${istiod.metadata.namespace}/configmaps/istio`;
    const [map, injector] = await Promise.all([
      api.get<{ data?: { mesh?: string } }>(`${path}${suffix}`),
      api.get<{ data?: { config?: string } }>(`${path}-sidecar-injector${suffix}`).catch(() => undefined),
    ]);
    const env = istiod.spec?.template?.spec?.containers?.flatMap(({ env }) => env ?? []) ?? [];
    return {
      config: (parse(map?.data?.mesh ?? "") as MeshConfig | null) ?? {},
      scoped: env.some(({ name, value }) => name === SCOPE && isTrue(value)),
      injectionOff: /^policy: *"?disabled/m.test(injector?.data?.config ?? ""),
    };
  } catch {
    return undefined;
  }
}
