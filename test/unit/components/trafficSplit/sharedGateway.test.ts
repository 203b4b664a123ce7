/** Tests of components/trafficSplit/sharedGateway.ts. */
import { describe, expect, it } from "vitest";
import {
  checkSharedGateway,
  type SharedGatewayNeeds,
} from "../../../../components/trafficSplit/sharedGateway.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf } from "../../../support/clusterServer.ts";
import { runChecks } from "../../../support/preflight.ts";

const CONFIG: SharedGatewayNeeds = {
  namespace: "default",
  host: "nginx.hung.org.hk",
  gatewayHosts: ["*.hung.org.hk"],
  istio: { gateway: ISTIO_GATEWAY },
};
const PASSTHROUGH = { ...CONFIG, tls: { mode: "passthrough" } };

const gateway = (name: string, port: number, hosts: string[], selector = ISTIO_GATEWAY.selector) => {
  const [namespace = "", own = ""] = name.split("/");
  return {
    metadata: { namespace, name: own },
    spec: { selector, servers: [{ port: { number: port }, hosts }] },
  };
};
const route = (name: string, hosts: string[], gateways?: string[]) => {
  const [namespace = "", own = ""] = name.split("/");
  return { metadata: { namespace, name: own }, spec: { hosts, ...(gateways ? { gateways } : {}) } };
};

async function faults(gateways: object[], routes: object[], config = CONFIG): Promise<string[]> {
  const { api } = await apiOf({
    "/apis/networking.istio.io/v1/gateways": { items: gateways },
    "/apis/networking.istio.io/v1/virtualservices": { items: routes },
  });
  return (await runChecks({ checks: [checkSharedGateway] }, api, config)).faults;
}

describe("a gateway that others use too", () => {
  const ours = gateway("default/nginx-gateway", 443, ["*.hung.org.hk"]);
  const theirs = gateway("shop/door", 443, ["shop/*.hung.org.hk", "shop.example.org"]);

  it("may serve other host names, and the stack's own", async () => {
    const routes = [route("default/nginx", ["nginx.hung.org.hk"], ["nginx-gateway"])];
    expect(await faults([ours], routes, PASSTHROUGH)).toEqual([]);
    const others = [route("shop/web", ["shop.hung.org.hk"], ["door"])];
    expect(await faults([gateway("shop/door", 80, ["*.hung.org.hk"])], others, PASSTHROUGH)).toEqual([]);
  });

  it("may serve the same names by https only where the load balancer ends https for this stack", async () => {
    expect(await faults([theirs], [])).toEqual([]);
    expect(await faults([theirs], [], PASSTHROUGH)).toEqual([
      "Gateway shop/door serves *.hung.org.hk on port 443 of the same gateway already, and Istio would " +
        "use one of both only: set gatewayHosts to other names, or tls.mode to terminate",
    ]);
    const elsewhere = gateway("shop/door", 443, ["*.hung.org.hk"], { istio: "other" });
    expect(await faults([elsewhere], [], PASSTHROUGH)).toEqual([]);
  });

  it("must not open the stack's ports for another protocol", async () => {
    const opened = (number: number, protocol: string) => ({
      metadata: { namespace: "shop", name: "door" },
      spec: { selector: ISTIO_GATEWAY.selector, servers: [{ port: { number, protocol }, hosts: ["*"] }] },
    });
    expect(await faults([opened(80, "HTTP2")], [])).toEqual([]);
    expect(await faults([opened(443, "TCP")], [])).toEqual([]);
    expect(await faults([opened(80, "TCP")], [])).toEqual([
      expect.stringMatching(/^Gateway shop\/door opens port 80 of the same gateway for TCP, and Istio would/),
    ]);
    expect(await faults([opened(443, "TCP")], [], PASSTHROUGH)).toHaveLength(1);
    expect(await faults([opened(443, "HTTPS")], [], PASSTHROUGH)).toEqual([]);
  });

  it("must not route the stack's host name elsewhere", async () => {
    const refused = [
      "VirtualService shop/web routes nginx.hung.org.hk on the same gateway already: set host to " +
        "another name, or delete it",
    ];
    const door = [gateway("shop/door", 80, ["*"])];
    const host = ["nginx.hung.org.hk"];
    expect(await faults(door, [route("shop/web", host, ["door"])])).toEqual(refused);
    expect(await faults(door, [route("shop/web", host, ["default/nginx-gateway"])])).toEqual(refused);
    expect(await faults(door, [route("shop/web", host)])).toEqual([]);
    expect(await faults(door, [route("shop/web", host, ["mesh", "elsewhere/door"])])).toEqual([]);
  });
});
