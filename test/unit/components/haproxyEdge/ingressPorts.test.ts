import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it } from "vitest";
import { IngressPorts, nodePortsOf } from "../../../../components/haproxyEdge/ingressPorts.ts";
import { GATEWAY_PORTS, settled, startMocks } from "../../../support/mocks.ts";

afterEach(() => pulumi.runtime.disconnect());

describe("IngressPorts", () => {
  it("finds ports by name, in whatever order", async () => {
    await startMocks({}, { gatewayPorts: [...GATEWAY_PORTS].reverse() });
    const ingress = new IngressPorts("ingress", {
      gatewayService: pulumi.output("istio-system/istio-ingressgateway"),
    });
    expect(await settled(ingress.nodePorts)).toEqual({ http2: 30934, statusPort: 30580, https: 30895 });
  });

  it("does without https", () => {
    const ports = GATEWAY_PORTS.filter(({ name }) => name !== "https");
    expect(nodePortsOf(ports)).toEqual({ http2: 30934, statusPort: 30580, https: undefined });
  });

  it("says what a Service without NodePorts must become", () => {
    expect(() => nodePortsOf([{ name: "http2" }])).toThrow(
      "Service istio-ingressgateway has no NodePort of the name http2: its type must be LoadBalancer or NodePort",
    );
  });
});
