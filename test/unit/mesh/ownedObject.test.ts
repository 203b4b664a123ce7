/** Tests of mesh/ownedObject.ts. */
import { expect, it } from "vitest";
import { trafficSplitObjects } from "../../../components/trafficSplit/objects.ts";
import { webAppObjects } from "../../../components/webApp/objects.ts";
import { metadataOf, ownedObject, pathOf, resourceOf } from "../../../mesh/ownedObject.ts";

const label = (object: ReturnType<typeof ownedObject>) => `${object.kind} ${object.namespace}/${object.name}`;

it("knows an object's path, its resource and its metadata", () => {
  const route = ownedObject("VirtualService", "shop", "nginx");
  expect(pathOf(route)).toBe("/apis/networking.istio.io/v1/namespaces/shop/virtualservices/nginx");
  expect(resourceOf(route)).toBe("virtualservices.networking.istio.io");
  expect(pathOf(ownedObject("Secret", "shop", "key"))).toBe("/api/v1/namespaces/shop/secrets/key");
  expect(resourceOf(ownedObject("Secret", "shop", "key"))).toBe("secrets");
  expect(metadataOf(route, { owner: "organization/istio-lab/dev" })).toMatchObject({
    name: "nginx",
    namespace: "shop",
    annotations: { "istio-lab/owner": "organization/istio-lab/dev" },
  });
});

it("lists the objects of the application and of its routing", () => {
  const versions = [{ name: "v116" }, { name: "v117" }];
  expect(webAppObjects({ namespace: "shop", versions }).map(label)).toEqual([
    "ConfigMap shop/nginx-static-files",
    "Service shop/nginx-svc",
    "Deployment shop/nginx-v116",
    "Deployment shop/nginx-v117",
  ]);
  expect(trafficSplitObjects({ namespace: "shop", gatewayTls: false }).map(label)).toEqual([
    "Gateway shop/nginx-gateway",
    "VirtualService shop/nginx",
    "DestinationRule shop/nginx",
  ]);
});

it("has the certificate beside the gateway, where the gateway serves https", () => {
  const gateway = { namespace: "ingress", service: "door", selector: {} };
  const last = (args: object) =>
    label(trafficSplitObjects({ namespace: "shop", gatewayTls: true, ...args }).at(-1) as never);
  expect(last({})).toBe("Secret istio-system/nginx-gateway-tls-shop");
  expect(last({ gateway })).toBe("Secret ingress/nginx-gateway-tls-shop");
});
