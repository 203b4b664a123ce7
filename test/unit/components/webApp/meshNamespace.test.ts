/** Tests of components/webApp/meshNamespace.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it } from "vitest";
import { MeshNamespace } from "../../../../components/webApp/meshNamespace.ts";
import { find, settled, startMocks } from "../../../support/mocks.ts";

afterEach(() => pulumi.runtime.disconnect());

describe("MeshNamespace", () => {
  it("patches one label", async () => {
    const resources = await startMocks();
    const mesh = new MeshNamespace("mesh", { namespace: "shop" });
    expect(await settled(mesh.namespace)).toBe("shop");
    await pulumi.runtime.disconnect();
    expect(find(resources, "mesh", "NamespacePatch").inputs.metadata).toEqual({
      name: "shop",
      labels: { "istio-injection": "enabled" },
    });
  });

  it("names the revision that injects, where one is configured", async () => {
    const resources = await startMocks();
    new MeshNamespace("mesh", { namespace: "shop", revision: "stable" });
    await pulumi.runtime.disconnect();
    expect(find(resources, "mesh", "NamespacePatch").inputs.metadata.labels).toEqual({
      "istio.io/rev": "stable",
    });
  });
});
