/** Tests of components/haproxyEdge/proxyProtocolCheck.ts. */
import { describe, expect, it } from "vitest";
import {
  checkProxyProtocol,
  proxyProtocolTrials,
} from "../../../../components/haproxyEdge/proxyProtocolCheck.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { OWNER } from "../../../support/preflight.ts";

const FILTERS = "/apis/networking.istio.io/v1alpha3/namespaces/istio-system/envoyfilters";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/istio-system/deployments";
const config = (manage: boolean, proxyProtocol?: boolean) => ({
  namespace: "default",
  loadBalancer: { proxyProtocol },
  tls: { mode: "passthrough" },
  istio: { manage, gateway: ISTIO_GATEWAY },
});

describe("checkProxyProtocol", () => {
  const check = async (paths: Paths, of: ReturnType<typeof config>) => {
    const { api } = await apiOf(paths);
    const signal = AbortSignal.timeout(10_000);
    return await checkProxyProtocol({ api, config: of, owner: OWNER, signal });
  };
  const gateway = (config: string) => ({
    items: [
      {
        metadata: { name: "gate", namespace: "istio-system" },
        spec: {
          template: {
            metadata: {
              labels: { istio: "ingressgateway", app: "gate" },
              annotations: { "proxy.istio.io/config": config },
            },
          },
        },
      },
    ],
  });
  const DEMANDS = gateway("gatewayTopology:\n  proxyProtocol: {}\n");

  it("finds the ports at which the gateway reads the protocol already", async () => {
    const name = "nginx-proxy-protocol-https-default";
    const found = { [`${FILTERS}/${name}`]: { metadata: { name } } };
    expect(await check(found, config(true))).toEqual({ faults: [], facts: { readsProxy: ["https"] } });
    expect(await check({}, config(true, true))).toEqual({ faults: [], facts: { readsProxy: [] } });
  });

  it("refuses another owner's gateway that HAProxy would not reach without the protocol", async () => {
    const { faults } = await check({ [DEPLOYMENTS]: DEMANDS }, config(false));
    expect(faults).toEqual([
      {
        key: "loadBalancer.proxyProtocol",
        message:
          "the gateway (Deployment istio-system/gate) refuses connections without the PROXY protocol (gatewayTopology.proxyProtocol): set loadBalancer.proxyProtocol to true",
      },
    ]);
  });

  it.each([
    ["with consent", DEMANDS, true],
    ["for a gateway that trusts proxies by their headers", gateway('{"gatewayTopology":{}}'), undefined],
    ["for a gateway whose settings nothing can read", gateway("{"), undefined],
    ["for other pods", { items: [{ metadata: { name: "egress" } }] }, undefined],
  ])("refuses none %s", async (_, deployments, consent) => {
    expect((await check({ [DEPLOYMENTS]: deployments }, config(false, consent))).faults).toEqual([]);
  });
});

it("lets the API server try what the update would write", () => {
  const trials = proxyProtocolTrials(config(true, true), OWNER);
  expect(trials.map(({ object }) => object.name)).toEqual([
    "nginx-proxy-protocol-http-default",
    "nginx-proxy-protocol-https-default",
  ]);
  expect(trials[0]?.tolerates).toBeDefined();
  expect(proxyProtocolTrials(config(false, true), OWNER)[0]?.tolerates).toBeUndefined();
});
