/** Checks that spans have a way: the extension provider of an Istio of others, and the collector. */
import { isIP } from "node:net";
import { parse } from "yaml";
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { COLLECTOR_HOST, extensionProvider, TRACING_PROVIDER } from "../../mesh/telemetry.ts";
import type { CheckContext, Findings, Permission, Preflight } from "../../preflight/capability.ts";
import { checkCollector } from "./collector.ts";
import type { TracingSettings } from "./config.ts";
import { checkTelemetries, type TelemetryNeeds } from "./telemetries.ts";
import { DEPLOYED_ZIPKIN } from "./tracing.ts";

/** The part of the configuration that the checks read. */
export interface Needs extends TelemetryNeeds {
  readonly istio: TelemetryNeeds["istio"] & {
    readonly manage: boolean;
    readonly revision?: string | undefined;
  };
}

export const tracingPreflight = {
  permissions,
  checks: [checkProvider, checkCollector, checkTelemetries],
} satisfies Preflight<Needs>;

/** The provider that the Telemetry objects name. */
export function providerOf({ collector = DEPLOYED_ZIPKIN }: TracingSettings) {
  const host = isIP(collector.host) > 0 ? COLLECTOR_HOST : collector.host;
  return extensionProvider({ ...collector, host });
}

const MESH = { namespace: ISTIO_NAMESPACE, resource: "configmaps" };

function permissions({ tracing, istio }: Needs): Permission[] {
  if (!tracing || istio.manage) return [];
  return meshNames(istio).map((name) => ({ verbs: ["get"], group: "", ...MESH, name }));
}

/** A revision's own mesh configuration, and the default one, which a tag may stand for. */
const meshNames = ({ revision }: Needs["istio"]) =>
  revision === undefined || revision === "default" ? ["istio"] : [`istio-${revision}`, "istio"];

async function checkProvider({ api, config }: CheckContext<Needs>): Promise<Findings> {
  const { tracing, istio } = config;
  if (!tracing || istio.manage) return { faults: [] };
  const names = meshNames(istio);
  const maps = await Promise.all(
    names.map((name) => api.get<ConfigMap>(`/api/v1/namespaces/${MESH.namespace}/${MESH.resource}/${name}`)),
  );
  const index = maps.findIndex((map) => map !== undefined);
  const name = names[Math.max(index, 0)];
  const providers = providersOf(maps[index]?.data?.mesh);
  const wanted = providerOf(tracing);
  const found = providers.find((provider) => provider.name === TRACING_PROVIDER);
  if (leadsTo(found, wanted)) return { faults: [] };
  const where = `ConfigMap ${MESH.namespace}/${name} of ${api.where}`;
  const state = found
    ? `extension provider ${TRACING_PROVIDER} in ${where} is ${JSON.stringify(found)}: make it`
    : `${where} has no extension provider ${TRACING_PROVIDER}, which the spans need: add to ` +
      "meshConfig.extensionProviders of that Istio";
  return {
    faults: [
      { key: "tracing.provider", message: `istio.manage is false, and ${state} ${JSON.stringify(wanted)}` },
    ],
  };
}

type Provider = Readonly<Record<string, { readonly service?: unknown; readonly port?: unknown }>>;

/**
 * True for a provider of the same protocol, service and port. Its timeout, headers and the like are its
 * owner's.
 */
function leadsTo(found: object | undefined, wanted: object): boolean {
  return Object.entries(wanted as Provider).every(([protocol, { service, port }]) => {
    if (protocol === "name") return true;
    const address = (found as Provider | undefined)?.[protocol];
    return address?.service === service && address?.port === port;
  });
}

/** A mesh configuration that is no YAML has no providers. */
function providersOf(mesh = ""): { readonly name?: string }[] {
  try {
    const providers = (parse(mesh) as { extensionProviders?: unknown } | null)?.extensionProviders;
    return Array.isArray(providers) ? providers.filter((one) => one !== null) : [];
  } catch {
    return [];
  }
}

interface ConfigMap {
  readonly data?: { readonly mesh?: string };
}
