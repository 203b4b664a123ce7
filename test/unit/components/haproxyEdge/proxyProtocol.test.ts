/** Tests of components/haproxyEdge/proxyProtocol.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  ProxyProtocol,
  type ProxyProtocolArgs,
  proxiedPorts,
  proxyProtocolObjects,
} from "../../../../components/haproxyEdge/proxyProtocol.ts";
import { afterPropagation } from "../../../../components/trafficSplit/propagation.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { find, settled, startMocks } from "../../../support/mocks.ts";

vi.mock("../../../../components/trafficSplit/propagation.ts", () => ({
  afterPropagation: vi.fn(() => pulumi.output(undefined)),
}));

afterEach(() => pulumi.runtime.disconnect());

const passthrough = { mode: "passthrough" };
const istio = (manage: boolean) => ({ manage, gateway: ISTIO_GATEWAY });

describe("proxiedPorts", () => {
  it.each([
    ["passthrough at this stack's gateway", undefined, passthrough, true, ["https"]],
    ["passthrough at another owner's gateway", undefined, passthrough, false, []],
    ["termination", undefined, { mode: "terminate" }, true, []],
    ["http alone", undefined, undefined, true, []],
    ["consent", true, passthrough, false, ["http", "https"]],
    ["consent without passthrough", true, undefined, true, ["http"]],
    ["refusal", false, passthrough, true, []],
  ])("with %s", (_, proxyProtocol, tls, manage, ports) => {
    expect(proxiedPorts({ loadBalancer: { proxyProtocol }, tls, istio: istio(manage) })).toEqual(ports);
  });
});

it("has an object of its own for each port, beside the gateway", () => {
  const gateway = { namespace: "ingress", service: "gate", selector: { istio: "gate" } };
  const objects = proxyProtocolObjects({
    namespace: "shop",
    loadBalancer: { proxyProtocol: true },
    tls: passthrough,
    istio: { manage: false, gateway },
  });
  expect(objects.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`)).toEqual([
    "EnvoyFilter ingress/nginx-proxy-protocol-http-shop",
    "EnvoyFilter ingress/nginx-proxy-protocol-https-shop",
  ]);
});

describe("ProxyProtocol", () => {
  const args: ProxyProtocolArgs = {
    ports: ["https"],
    namespace: "default",
    targetPorts: { http: 8080, https: 8443 },
    manage: true,
    owner: "organization/istio-lab/dev",
  };
  const portsOf = (spec: { configPatches: { match: { listener: { portNumber?: number } } }[] }) =>
    spec.configPatches.map(({ match }) => match.listener.portNumber);

  it("has the gateway read it at port 443, and trust HAProxy's headers at port 80", async () => {
    const resources = await startMocks();
    expect(await settled(new ProxyProtocol("proxy", args).ports)).toEqual(["https"]);
    await pulumi.runtime.disconnect();
    const { inputs } = find(resources, "proxy-https");
    expect(inputs.metadata).toMatchObject({
      name: "nginx-proxy-protocol-https-default",
      namespace: "istio-system",
      annotations: { "pulumi.com/deletionPropagationPolicy": "background" },
    });
    expect(portsOf(inputs.spec)).toEqual([8443, 8443, 8080]);
  });

  it("leaves what another owner's gateway trusts as it is", async () => {
    const resources = await startMocks();
    new ProxyProtocol("proxy", { ...args, ports: ["http", "https"], manage: false });
    await pulumi.runtime.disconnect();
    expect(portsOf(find(resources, "proxy-http").inputs.spec)).toEqual([8080, 8080]);
    expect(portsOf(find(resources, "proxy-https").inputs.spec)).toEqual([8443, 8443]);
  });

  it.each([
    ["a port that is new", { live: true }, [["proxy-https"]]],
    ["a port that the gateway reads already", { live: true, reads: ["https"] as const }, []],
    ["a first update", { live: false }, []],
  ])("waits for every gateway with %s: %o", async (_, more, waits) => {
    vi.mocked(afterPropagation).mockClear();
    await startMocks();
    expect(await settled(new ProxyProtocol("proxy", { ...args, ...more }).ports)).toEqual(["https"]);
    const written = vi.mocked(afterPropagation).mock.calls.map(([filters]) => filters);
    const names = written.map((filters) => Promise.all(filters.map(({ urn }) => settled(urn))));
    expect(await Promise.all(names)).toEqual(
      waits.map((each) => each.map((name) => expect.stringContaining(name))),
    );
  });
});
