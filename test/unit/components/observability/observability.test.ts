/** Tests of components/observability/observability.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, expect, it } from "vitest";
import { capabilities } from "../../../../capabilities.ts";
import { Observability } from "../../../../components/observability/observability.ts";
import type { OwnedObject } from "../../../../mesh/ownedObject.ts";
import type { Capability } from "../../../../preflight/capability.ts";
import { find, LEAST, settled, startMocks } from "../../../support/mocks.ts";
import { faultsOf, settings } from "../../../support/settings.ts";

afterEach(() => pulumi.runtime.disconnect());

const OWNER = "organization/istio-lab/dev";

async function observe(change: Record<string, unknown>) {
  const config = settings(change);
  const resources = await startMocks();
  const observability = new Observability("observability", {
    monitoring: config.monitoring,
    tracing: config.tracing,
    namespace: config.namespace,
    weights: config.weights,
    gateway: config.istio.gateway,
    loadBalancer: {
      ...{ host: "10.0.0.1", exporter: config.stats.prometheus },
      ...{ mode: config.loadBalancer.mode, servers: ["node02"] },
    },
    labels: config.labels,
    owner: OWNER,
  });
  const outputs = await settled(pulumi.all([observability.monitoring, observability.tracing]));
  await pulumi.runtime.disconnect();
  const all: readonly Capability<typeof config>[] = capabilities;
  const declared = all
    .filter(({ name }) => name === "monitoring" || name === "tracing")
    .flatMap(({ objects }) => objects?.(config) ?? []);
  return { resources, outputs, declared };
}

const EVERYTHING = {
  monitoring: { enabled: true, storage: { size: "2Gi" }, proxies: "envoy" },
  tracing: { provider: "zipkin", sampling: 50 },
  stats: { prometheus: "0.0.0.0:8404" },
};

const nameOf = ({ kind, namespace, name }: Pick<OwnedObject, "kind" | "namespace" | "name">) =>
  [kind, namespace, name].filter(Boolean).join(" ");

it.each([
  ["everything", EVERYTHING],
  ["metrics of Istio's own proxies", { monitoring: { enabled: true } }],
  [
    "a gateway in a namespace of its own",
    { ...EVERYTHING, istio: { manage: false, gateway: { namespace: "istio-ingress", service: "ingress" } } },
  ],
  ["spans to a collector of the user's own", { tracing: { provider: "otlp", endpoint: "10.0.0.9:4317" } }],
])("makes exactly what its capabilities declare: %s", async (_, change) => {
  const { resources, declared } = await observe(change);
  const made = resources.flatMap(({ inputs }) =>
    inputs?.metadata ? [nameOf({ kind: inputs.kind, ...inputs.metadata })] : [],
  );
  const wanted = declared.map(nameOf);
  expect(made.sort()).toEqual([...new Set(wanted)].sort());
});

it("every object bears the owner", async () => {
  const { resources } = await observe(EVERYTHING);
  for (const { inputs } of resources)
    if (inputs?.metadata) expect(inputs.metadata.annotations["istio-lab/owner"]).toBe(OWNER);
});

it("every object and pod bears the labels of the settings; selectors stay as they are", async () => {
  const { resources } = await observe({ ...EVERYTHING, labels: { team: "shop" } });
  const objects = resources.filter(({ inputs }) => inputs?.metadata);
  const pods = objects.flatMap(({ inputs }) => inputs.spec?.template ?? []);
  expect(pods).toHaveLength(2);
  for (const { metadata } of [...objects.map(({ inputs }) => inputs), ...pods])
    expect(metadata.labels, metadata.name).toMatchObject({ team: "shop" });
  for (const { inputs } of objects)
    if (inputs.spec?.selector) expect(JSON.stringify(inputs.spec.selector)).not.toContain("team");
  const prometheus = find(resources, "monitoring", "Deployment").inputs.spec.template;
  expect(prometheus.metadata.labels).toEqual({ team: "shop", app: "istio-lab-prometheus" });
});

it("outputs the addresses of Prometheus and Zipkin", async () => {
  expect((await observe(EVERYTHING)).outputs).toEqual([
    {
      namespace: "istio-lab-observability",
      service: "prometheus",
      port: 9090,
      scrapeSeconds: 15,
      gateway: "istio-ingressgateway",
      backend: "k8s-istio-ingress-gateway",
    },
    { namespace: "istio-lab-observability", service: "zipkin", port: 9411 },
  ]);
  const loadBalancer = { ...LEAST.loadBalancer, mode: "include" };
  const beside = { loadBalancer, monitoring: { url: "http://prometheus:9090" } };
  expect((await observe(beside)).outputs).toEqual([
    {
      ...{ url: "http://prometheus:9090", scrapeSeconds: 15 },
      ...{ gateway: "istio-ingressgateway", backend: "istio-lab-dev-k8s-istio-ingress-gateway" },
    },
    undefined,
  ]);
});

it("with an existing Prometheus it makes no resource", async () => {
  const { resources, declared } = await observe({ monitoring: { url: "http://prometheus:9090" } });
  expect(resources.filter(({ inputs }) => inputs?.metadata)).toEqual([]);
  expect(declared).toEqual([]);
});

it("Prometheus and Zipkin run under Pod Security's level restricted", async () => {
  const { resources } = await observe(EVERYTHING);
  const namespace = find(resources, "observability", "Namespace").inputs;
  expect(namespace.metadata.labels).toEqual({ "pod-security.kubernetes.io/enforce": "restricted" });
  for (const name of ["monitoring", "tracing-zipkin"]) {
    const pod = find(resources, name, "Deployment").inputs.spec.template.spec;
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    });
    const [container] = pod.containers;
    expect(container.securityContext).toEqual({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
    expect(container.resources.limits.memory).toBeDefined();
    expect(container.readinessProbe).toBeDefined();
  }
});

it("what is in the namespace goes with it, and nothing else does", async () => {
  const { resources } = await observe(EVERYTHING);
  const objects = resources.filter(({ inputs, type }) => inputs?.metadata && !type.endsWith(":Namespace"));
  for (const { inputs, deletedWith, name } of objects) {
    const inside = inputs.metadata.namespace === "istio-lab-observability";
    expect([name, deletedWith]).toEqual([name, inside ? "observability" : ""]);
  }
});

it("Zipkin, which has nothing to save, ends at once", async () => {
  const { resources } = await observe(EVERYTHING);
  const pod = find(resources, "tracing-zipkin", "Deployment").inputs.spec.template.spec;
  expect(pod.terminationGracePeriodSeconds).toBe(2);
});

it("Prometheus reads pods in the scraped namespaces, and nothing else", async () => {
  const { resources } = await observe(EVERYTHING);
  const roles = resources.filter(({ type }) => type.endsWith(":Role"));
  expect(roles.map(({ inputs }) => inputs.metadata.namespace).sort()).toEqual(["default", "istio-system"]);
  for (const { inputs } of roles)
    expect(inputs.rules).toEqual([{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] }]);
  expect(resources.filter(({ type }) => /ClusterRole/.test(type))).toEqual([]);
});

it("new weights change the rules and not the pod, which would lose its samples", async () => {
  const before = await observe({ monitoring: { enabled: true } });
  const after = await observe({ monitoring: { enabled: true }, weights: { v116: 10, v117: 90 } });
  const part = (resources: typeof before.resources, name: string, kind: string) =>
    find(resources, name, kind).inputs;
  expect(part(after.resources, "monitoring", "Deployment")).toEqual(
    part(before.resources, "monitoring", "Deployment"),
  );
  expect(part(after.resources, "monitoring-config", "ConfigMap").data["rules.yml"]).toContain("vector(0.1)");
});

it("every fault of both capabilities is reported at once", () => {
  const monitoring = {
    enabled: true,
    url: "http://prometheus:9090",
    retention: "a day",
    storage: { size: "2 GB", class: "fast" },
    interval: 5,
  };
  const keys = (tracing: object) =>
    faultsOf({ monitoring, tracing })
      .map((fault) => fault.split(" ")[0])
      .sort();
  const expected = [
    "monitoring.interval",
    "monitoring.retention",
    "monitoring.storage.class",
    "monitoring.storage.size",
    "monitoring.url",
    "tracing.endpoint",
    "tracing.sampling",
  ];
  expect(keys({ provider: "otlp", endpoint: "collector", sampling: 101 })).toEqual(expected);
  expect(keys({ provider: "otlp", sampling: 101 })).toEqual(expected);
});
