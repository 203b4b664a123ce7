/** Tests of components/tracing/config.ts. */
import { expect, test } from "vitest";
import { capabilities, istioValues } from "../../../../capabilities.ts";
import { faultsOf, settings } from "../../../support/settings.ts";

const providers = (change: Record<string, unknown>) =>
  (istioValues(settings(change)).meshConfig as { extensionProviders?: unknown[] } | undefined)
    ?.extensionProviders;

test("off unless it is set", () => {
  expect(settings().tracing).toBeUndefined();
  expect(providers({})).toBeUndefined();
  expect(capabilities.map(({ name }) => name)).toContain("tracing");
});

test("the program's own Zipkin", () => {
  expect(settings({ tracing: { provider: "zipkin", sampling: 100 } }).tracing).toEqual({
    sampling: 100,
    image: "openzipkin/zipkin:3.5.1",
  });
  expect(providers({ tracing: { provider: "zipkin" } })).toEqual([
    {
      name: "istio-lab-tracing",
      zipkin: {
        service: "zipkin.istio-lab-observability.svc.cluster.local",
        port: 9411,
        traceContextOption: "USE_B3_WITH_W3C_PROPAGATION",
      },
    },
  ]);
});

test.each([
  ["collector.example:4317", { host: "collector.example", port: 4317 }],
  ["10.0.0.5:4317", { host: "10.0.0.5", port: 4317 }],
  ["[fd00::5]:4317", { host: "fd00::5", port: 4317 }],
])("a collector of the user's own at %s", (endpoint, address) => {
  expect(settings({ tracing: { provider: "otlp", endpoint } }).tracing).toEqual({
    sampling: 1,
    collector: { protocol: "otlp", ...address },
  });
});

test("the mesh knows an address by a name", () => {
  expect(providers({ tracing: { provider: "otlp", endpoint: "10.0.0.5:4317" } })).toEqual([
    { name: "istio-lab-tracing", opentelemetry: { service: "collector.istio-lab.internal", port: 4317 } },
  ]);
});

test("the user's own providers stay", () => {
  const values = { meshConfig: { extensionProviders: [{ name: "mine" }] } };
  const found = providers({ istio: { values }, tracing: { provider: "zipkin" } });
  expect(found).toMatchObject([{ name: "mine" }, { name: "istio-lab-tracing" }]);
});

test.each([
  [{ provider: "jaeger" }, "tracing.provider", "zipkin and otlp"],
  [{ provider: ["zipkin", "otlp"] }, "tracing.provider", "give one of"],
  [{ provider: "otlp" }, "tracing.endpoint", "OTLP collector"],
  [{ endpoint: "x:4317" }, "tracing.provider", "the protocol of tracing.endpoint"],
  [{ provider: "otlp", endpoint: "collector" }, "tracing.endpoint", "HOST:PORT"],
  [{ provider: "otlp", endpoint: "http://collector:4317" }, "tracing.endpoint", "HOST:PORT"],
  ...[
    ...[
      "collector:0",
      "collector:70000",
      "collector:http",
      "collector:",
      ":4317",
      "collector:4317/v1/traces",
    ],
    ...["user:pw@collector:4317", "fd00::5:4317", "[fd00::5]", "[10.0.0.5]:4317", "[fe80::1%eth0]:4317"],
    ...["10.0.0.300:4317", "col_lector:4317", "a b:4317", "-x:4317"],
    // A proxy would find its own pod there.
    ...["localhost:4317", "127.0.0.1:4317", "0.0.0.0:4317", "[::1]:4317", "[::]:4317"],
  ].map((endpoint): [object, string, string] => [
    { provider: "otlp", endpoint },
    "tracing.endpoint",
    "HOST:PORT as pods reach it",
  ]),
  [{ provider: "otlp", endpoint: 4317 }, "tracing.endpoint", "HOST:PORT"],
  [{ provider: "zipkin", zipkin: {} }, "tracing.zipkin", "the keys are provider, endpoint"],
  [{ provider: "zipkin,otlp" }, "tracing.provider", "give one of"],
  [{ provider: "zipkin", image: "a b" }, "tracing.image", "image reference"],
  [{ provider: "zipkin", sampling: 101 }, "tracing.sampling", "0 to 100"],
  [{ provider: "zipkin", sampling: -1 }, "tracing.sampling", "0 to 100"],
  [{ provider: "zipkin", sampling: "all" }, "tracing.sampling", "0 to 100"],
  [{ provider: "zipkin", sampling: "10%" }, "tracing.sampling", "0 to 100"],
  [{ provider: "zipkin", sampling: Number.NaN }, "tracing.sampling", "0 to 100"],
  [{ provider: "zipkin", sampling: null }, "tracing.sampling", "0 to 100"],
  [{ provider: "zipkin", sampling: 1e-9 }, "tracing.sampling", "0.01 or more"],
])("%j", (tracing, key, right) => {
  const [fault = "", ...others] = faultsOf({ tracing });
  expect(others).toEqual([]);
  expect(fault).toContain(`${key} `);
  expect(fault).toContain(right);
});

test("a provider of the same name is refused", () => {
  const values = { meshConfig: { extensionProviders: [{ name: "istio-lab-tracing" }] } };
  expect(faultsOf({ istio: { values }, tracing: { provider: "zipkin" } })).toMatchObject([
    expect.stringContaining("istio.values.meshConfig.extensionProviders"),
  ]);
});
