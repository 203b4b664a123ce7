/** Tests of mesh/telemetry.ts. */
import { expect, test } from "vitest";
import { collectorEntry, extensionProvider, telemetrySpec } from "../../../mesh/telemetry.ts";

const ZIPKIN = { protocol: "zipkin", host: "zipkin.tools", port: 9411 } as const;
const OTLP = { protocol: "otlp", host: "10.0.0.5", port: 4317 } as const;

test("each protocol is the provider that Istio has for it", () => {
  expect(extensionProvider(ZIPKIN)).toEqual({
    name: "istio-lab-tracing",
    zipkin: { service: "zipkin.tools", port: 9411, traceContextOption: "USE_B3_WITH_W3C_PROPAGATION" },
  });
  expect(extensionProvider(OTLP)).toHaveProperty("opentelemetry", { service: "10.0.0.5", port: 4317 });
});

test("the Telemetry names the provider, the selected pods, the percentage and the route", () => {
  expect(telemetrySpec({ app: "nginx" }, 0.5)).toEqual({
    selector: { matchLabels: { app: "nginx" } },
    tracing: [
      {
        providers: [{ name: "istio-lab-tracing" }],
        randomSamplingPercentage: 0.5,
        disableSpanReporting: false,
        customTags: { route: { formatter: { value: "%ROUTE_NAME%" } } },
      },
    ],
  });
});

test("a collector outside the mesh is found by DNS, an address by a name of its own", () => {
  expect(collectorEntry(ZIPKIN, false)).toMatchObject({
    hosts: ["zipkin.tools"],
    resolution: "DNS",
    ports: [{ number: 9411, protocol: "HTTP" }],
  });
  expect(collectorEntry(ZIPKIN, false)).not.toHaveProperty("endpoints");
  expect(collectorEntry(OTLP, true)).toMatchObject({
    hosts: ["collector.istio-lab.internal"],
    resolution: "STATIC",
    endpoints: [{ address: "10.0.0.5" }],
    ports: [{ number: 4317, protocol: "GRPC" }],
  });
});
