/** Tests of components/istio/nodePorts.ts. */
import { expect, it } from "vitest";
import { ApiError, type KubernetesApi } from "../../../../clients/kubernetes.ts";
import { checkNodePorts } from "../../../../components/istio/nodePorts.ts";
import { faultsOfCheck } from "../../../support/preflight.ts";

const TAKEN =
  'Service "x" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated';
const ports = [
  { name: "http2", port: 80, nodePort: 30080 },
  { name: "https", port: 443 },
];
const values = { gateways: { "istio-ingressgateway": { ports }, "istio-egressgateway": null } };

async function check(istio: object, refusal?: Error, own: readonly number[] = []) {
  const tried: number[][] = [];
  const api = {
    list: async () => ({ items: [{ spec: { ports: own.map((nodePort) => ({ nodePort })) } }, {}] }),
    create: async (path: string, { spec }: { spec: { ports: { nodePort: number }[] } }, options: object) => {
      expect(path).toBe("/api/v1/namespaces/shop/services");
      expect(options).toMatchObject({ dryRun: true });
      tried.push(spec.ports.map(({ nodePort }) => nodePort));
      if (refusal) throw refusal;
      return {};
    },
  } as unknown as KubernetesApi;
  const config = { namespace: "shop", istio: { manage: true, ...istio } };
  return { faults: await faultsOfCheck(checkNodePorts, api, config), tried };
}

it("NodePorts of the values and of the components are tried, and named where they are taken", async () => {
  const components = {
    ingressGateways: [{ k8s: { service: { ports: [{ port: 80, nodePort: 31080 }] } } }, null],
  };
  expect(await check({ values, components })).toEqual({ faults: [], tried: [[30080, 31080]] });
  const { faults } = await check({ values }, new ApiError(422, "Invalid", TAKEN));
  expect(faults).toEqual([
    `the NodePorts of Istio's gateways in istio (30080) cannot be had: ${TAKEN}: give others (kubectl get ` +
      "services --all-namespaces shows those in use), or leave them out",
  ]);
});

it("those that Istio's Services have already are not tried, and without any there is no request", async () => {
  expect(await check({ values }, undefined, [30080])).toEqual({ faults: [], tried: [] });
  expect(await check({ values, manage: false })).toEqual({ faults: [], tried: [] });
  expect(await check({})).toEqual({ faults: [], tried: [] });
});

it("a refusal for another reason is no fault of the ports", async () => {
  const policy = new ApiError(403, "Forbidden", "no Services here");
  expect((await check({ values }, policy)).faults).toEqual([]);
});
