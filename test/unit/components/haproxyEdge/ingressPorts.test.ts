/** Tests of components/haproxyEdge/ingressPorts.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it, vi } from "vitest";
import { IngressPorts, nodePortsOf, readPorts } from "../../../../components/haproxyEdge/ingressPorts.ts";
import { GATEWAY_PORTS, settled, startMocks } from "../../../support/mocks.ts";
import { answerWith, server } from "../../../support/queuedAnswers.ts";

vi.mock("../../../../clients/kubernetes.ts", () => import("../../../support/queuedAnswers.ts"));

afterEach(() => pulumi.runtime.disconnect());

const SERVICE = "istio-system/istio-ingressgateway";
const args = { gatewayService: pulumi.output(SERVICE), cluster: {} };

describe("IngressPorts", () => {
  it("finds ports by name, in any order, and registers no resource that a refresh would judge", async () => {
    answerWith({ spec: { ports: [...GATEWAY_PORTS].reverse() } });
    const resources = await startMocks();
    const ingress = new IngressPorts("ingress", args);
    expect(await settled(ingress.nodePorts)).toEqual({ http2: 30934, statusPort: 30580, https: 30895 });
    await pulumi.runtime.disconnect();
    expect(server.paths).toEqual(["/api/v1/namespaces/istio-system/services/istio-ingressgateway"]);
    expect(resources.map(({ type }) => type)).toEqual(["istio-lab:index:IngressPorts"]);
  });

  it("has no https port where the Service has none", () => {
    const ports = GATEWAY_PORTS.filter(({ name }) => name !== "https");
    expect(nodePortsOf(ports, SERVICE)).toEqual({ http2: 30934, statusPort: 30580, https: undefined });
  });

  it("finds ports by number where they have other names", () => {
    const ports = GATEWAY_PORTS.map((port, index) => ({ ...port, name: `p${index}` }));
    expect(nodePortsOf(ports, SERVICE)).toEqual({ http2: 30934, statusPort: 30580, https: 30895 });
  });

  it("says what a Service without NodePorts must become", () => {
    expect(() => nodePortsOf([{ name: "http2" }], SERVICE)).toThrow(
      `Service ${SERVICE} has no NodePort for port 80 (http2): its type must be LoadBalancer or NodePort, and it must have that port`,
    );
  });

  it("says how a gateway that was deleted comes back", async () => {
    answerWith(undefined);
    const reinstall = "istioctl install --filename=-";
    await expect(readPorts(SERVICE, { cluster: {}, reinstall })).rejects.toThrow(
      `Service ${SERVICE} does not exist: install Istio again, then run pulumi up:\n${reinstall}`,
    );
  });
});
