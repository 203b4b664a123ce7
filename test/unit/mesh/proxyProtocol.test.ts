/** Tests of mesh/proxyProtocol.ts. */
import { expect, it } from "vitest";
import { proxyProtocolSpec } from "../../../mesh/proxyProtocol.ts";

const selector = { istio: "ingressgateway" };

it("puts one filter in the place of all others, and takes connections without the protocol, too", () => {
  const { workloadSelector, configPatches } = proxyProtocolSpec({ selector, port: 8443 });
  expect(workloadSelector).toEqual({ labels: selector });
  expect(configPatches).toEqual([
    {
      applyTo: "LISTENER_FILTER",
      match: {
        context: "GATEWAY",
        listener: { portNumber: 8443, listenerFilter: "envoy.filters.listener.proxy_protocol" },
      },
      patch: { operation: "REMOVE" },
    },
    {
      applyTo: "LISTENER_FILTER",
      match: { context: "GATEWAY", listener: { portNumber: 8443 } },
      patch: {
        operation: "INSERT_FIRST",
        value: {
          name: "envoy.filters.listener.proxy_protocol",
          typed_config: expect.objectContaining({ allow_requests_without_proxy_protocol: true }),
        },
      },
    },
  ]);
});

it("is for all ports where the Service gives a name in place of a number", () => {
  const { configPatches } = proxyProtocolSpec({ selector });
  expect(configPatches.map(({ match }) => match)).toEqual([
    { context: "GATEWAY", listener: { listenerFilter: "envoy.filters.listener.proxy_protocol" } },
    { context: "GATEWAY", listener: {} },
  ]);
});

it("trusts the headers of one proxy on the port that is named", () => {
  const [, , trusting, ...more] = proxyProtocolSpec({ selector, port: 8443, trusted: 8080 }).configPatches;
  expect(more).toEqual([]);
  expect(trusting).toMatchObject({
    applyTo: "NETWORK_FILTER",
    match: { context: "GATEWAY", listener: { portNumber: 8080 } },
    patch: { operation: "MERGE", value: { typed_config: { xff_num_trusted_hops: 1 } } },
  });
});
