/** Istio's objects for tracing: where spans go, of how many requests, with which tags. Pure. */

export type TracingProtocol = "zipkin" | "otlp";

/** Where spans go. */
export interface Collector {
  readonly protocol: TracingProtocol;
  /** Host name or address, as the mesh resolves it. */
  readonly host: string;
  readonly port: number;
}

/** Name of the provider in Istio's mesh configuration. */
export const TRACING_PROVIDER = "istio-lab-tracing";

/**
 * An entry of `meshConfig.extensionProviders`. Envoy's Zipkin tracer reads only B3 headers, unless it is
 * configured for `traceparent` too; B3 has precedence. Istio before 1.28 ignores that key. The OTLP tracer
 * reads only `traceparent`.
 */
export function extensionProvider({ protocol, host, port }: Collector) {
  const address = { service: host, port };
  return protocol === "zipkin"
    ? { name: TRACING_PROVIDER, zipkin: { ...address, traceContextOption: "USE_B3_WITH_W3C_PROPAGATION" } }
    : { name: TRACING_PROVIDER, opentelemetry: address };
}

/**
 * A Telemetry's spec: spans of the selected proxies. Each span names the route of its request, and with it
 * the weights at that moment. Istio adds `istio.canonical_revision`, the version of the pod that wrote the
 * span.
 * @param sampling percent of the requests that arrive without a decision of their own.
 */
export function telemetrySpec(matchLabels: Readonly<Record<string, string>>, sampling: number) {
  return {
    selector: { matchLabels },
    tracing: [
      {
        providers: [{ name: TRACING_PROVIDER }],
        randomSamplingPercentage: sampling,
        // A Telemetry for the whole mesh may say the opposite, and Istio would take that over.
        disableSpanReporting: false,
        customTags: { route: { formatter: { value: "%ROUTE_NAME%" } } },
      },
    ],
  };
}

/** A ServiceEntry's spec for a collector outside the mesh. */
export function collectorEntry({ host, port, protocol }: Collector, isAddress: boolean) {
  return {
    hosts: [isAddress ? COLLECTOR_HOST : host],
    location: "MESH_EXTERNAL",
    resolution: isAddress ? "STATIC" : "DNS",
    ports: [
      {
        number: port,
        name: protocol === "otlp" ? "grpc" : "http",
        protocol: protocol === "otlp" ? "GRPC" : "HTTP",
      },
    ],
    ...(isAddress ? { endpoints: [{ address: host }] } : {}),
  };
}

/** Name in the mesh for a collector that has only an address. */
export const COLLECTOR_HOST = "collector.istio-lab.internal";
