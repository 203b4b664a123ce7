/** Settings of tracing: where spans go, and of how many requests. */
import { BlockList, isIP, isIPv6 } from "node:net";
import { z } from "zod";
import { type Collector, TRACING_PROVIDER } from "../../mesh/telemetry.ts";
import { type ConfigOf, field, key, slice } from "../../settings/slice.ts";
import { image, isDnsName, object, text } from "../../settings/values.ts";
import { istioSettings } from "../istio/config.ts";

export interface TracingSettings {
  /** Percent of the requests that arrive without a decision of their own. */
  readonly sampling: number;
  /** Image of the Zipkin that the program deploys; undefined when spans go to `collector`. */
  readonly image?: string | undefined;
  readonly collector?: Collector | undefined;
}

const SAMPLING = "give a percentage from 0 to 100";
/** Envoy counts in hundredths of a percent: less would be nothing, in silence. */
const LEAST_SAMPLING = 0.01;

/** Addresses that mean a proxy's own pod. */
const OWN = new BlockList();
OWN.addSubnet("127.0.0.0", 8, "ipv4");
OWN.addAddress("0.0.0.0", "ipv4");
OWN.addSubnet("::", 127, "ipv6");

/** A host that a proxy finds elsewhere than in its own pod, and that a ServiceEntry can name. */
function isCollector(host: string): boolean {
  const family = isIP(host);
  if (family > 0) return !host.includes("%") && !OWN.check(host, family === 6 ? "ipv6" : "ipv4");
  return isDnsName(host.toLowerCase()) && !/(^|\.)localhost$/i.test(host);
}

/** `HOST:PORT`, an IPv6 address in brackets. */
function parseEndpoint(value: string): { host: string; port: number } | undefined {
  const [, six = "", other = "", digits] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(value) ?? [];
  const port = Number(digits);
  const host = six || other;
  const good = (six === "" || isIPv6(six)) && isCollector(host);
  return good && port >= 1 && port <= 65535 ? { host, port } : undefined;
}

export const tracingSettings = slice({
  keys: {
    tracing: key(
      object("give an object with provider, endpoint, sampling and image", {
        provider: field(
          z.enum(["zipkin", "otlp"], { error: "give one of zipkin and otlp" }).optional(),
          "`zipkin`, deployed by the program or at `endpoint`; `otlp` at `endpoint`",
          "off",
        ),
        endpoint: field(
          text(
            "give HOST:PORT as pods reach it, e.g. collector.example:4317",
            (value) => parseEndpoint(value) !== undefined,
          ).optional(),
          "`HOST:PORT` of a collector of your own: Zipkin's API over HTTP, or OTLP over gRPC",
          "the Zipkin that the program deploys",
        ),
        sampling: field(
          z
            .number({ error: SAMPLING })
            .min(0, { error: SAMPLING })
            .max(100, { error: SAMPLING })
            .refine((value) => value <= 0 || value >= LEAST_SAMPLING, {
              error: `give 0, or ${LEAST_SAMPLING} or more: Envoy samples in steps of that size`,
            })
            .default(1),
          "Percent of the requests that are traced; a request that brings a decision keeps it",
        ),
        image: field(image().default("openzipkin/zipkin:3.5.1"), "Image of the Zipkin that is deployed"),
      }).prefault({}),
      "Spans of the ingress gateway and of the application's sidecars",
    ),
  },
  /** Of the values as given: a fault elsewhere in them must not hide these. */
  check(_, { raw, valuesOf, fault }) {
    const { provider, endpoint } = (raw.tracing ?? {}) as Readonly<Record<string, unknown>>;
    if (provider === "otlp" && !endpoint)
      fault(
        "tracing.endpoint",
        undefined,
        "give HOST:PORT of the OTLP collector: the program deploys Zipkin only",
      );
    if (!provider && endpoint)
      fault("tracing.provider", undefined, "give zipkin or otlp: the protocol of tracing.endpoint");
    const values = valuesOf(istioSettings).istio?.values as MeshValues | undefined;
    const providers = values?.meshConfig?.extensionProviders ?? [];
    if (provider && providers.some?.((provider) => provider?.name === TRACING_PROVIDER))
      fault(
        "istio.values.meshConfig.extensionProviders",
        providers,
        `the name ${TRACING_PROVIDER} is the provider of tracing: give yours another one`,
      );
  },
  resolve: ({ tracing }): { readonly tracing: TracingSettings | undefined } => {
    const { provider, endpoint, sampling, image } = tracing;
    if (!provider) return { tracing: undefined };
    const address = endpoint && parseEndpoint(endpoint);
    if (!address) return { tracing: { sampling, image } };
    return { tracing: { sampling, collector: { protocol: provider, ...address } } };
  },
});

interface MeshValues {
  readonly meshConfig?: { readonly extensionProviders?: readonly { readonly name?: string }[] };
}

/** The capability's part of the configuration. */
export type TracingConfig = ConfigOf<typeof tracingSettings>;
