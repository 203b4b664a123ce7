/** Tests of components/istio/operator.ts. */
import { expect, it } from "vitest";
import { parse } from "yaml";
import { istioOperator } from "../../../../components/istio/operator.ts";

const ARGS = { version: "1.31.0", profile: "demo" };

it("the operator describes the profile with its changes", () => {
  expect(parse(istioOperator(ARGS))).toEqual({
    apiVersion: "install.istio.io/v1alpha1",
    kind: "IstioOperator",
    spec: { profile: "demo", tag: "1.31.0" },
  });
  const components = { cni: { enabled: true } };
  const values = { telemetry: { enabled: false }, pilot: { env: { A: "yes: no" } } };
  const given = { ...ARGS, hub: "lab", tag: "1.31", values, components, labels: {} };
  expect(parse(istioOperator(given)).spec).toEqual({
    profile: "demo",
    hub: "lab",
    tag: "1.31",
    components,
    values,
  });
});

it("labels reach Istio's Deployments and pods, and no selector", () => {
  const labels = { team: "mesh", "app.example.org/part": "istio" };
  const { components, values } = parse(istioOperator({ ...ARGS, labels })).spec;
  expect(values).toEqual({
    pilot: { deploymentLabels: labels, podLabels: labels },
    cni: { daemonSetLabels: labels, podLabels: labels },
  });
  const patches = [
    { path: "metadata.labels.team", value: "mesh" },
    { path: "metadata.labels.app\\.example\\.org/part", value: "istio" },
    { path: "spec.template.metadata.labels.team", value: "mesh" },
    { path: "spec.template.metadata.labels.app\\.example\\.org/part", value: "istio" },
  ];
  const gateway = (name: string) => ({
    name,
    enabled: true,
    k8s: { overlays: [{ kind: "Deployment", name, patches }] },
  });
  expect(components).toEqual({
    ingressGateways: [gateway("istio-ingressgateway")],
    egressGateways: [gateway("istio-egressgateway")],
  });
});

it("labels are added to the gateways and overlays of the settings; only profile demo has an egress gateway", () => {
  const own = { kind: "Service", name: "door", patches: [] };
  const components = {
    ingressGateways: [{ name: "door", k8s: { overlays: [own] } }],
    cni: { enabled: true },
  };
  const args = { ...ARGS, profile: "default", components, labels: { team: "mesh" } };
  const spec = parse(istioOperator(args)).spec;
  expect(spec.components.cni).toEqual({ enabled: true });
  expect(spec.components.egressGateways).toBeUndefined();
  expect(spec.components.ingressGateways).toEqual([
    { name: "door", k8s: { overlays: [own, expect.objectContaining({ kind: "Deployment", name: "door" })] } },
  ]);
});
