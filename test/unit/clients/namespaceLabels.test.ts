/** Tests of clients/namespaceLabels.ts. */
import { expect, it } from "vitest";
import { namespaceLabels } from "../../../clients/namespaceLabels.ts";
import { apiOf } from "../../support/clusterServer.ts";

const PATH = "/api/v1/namespaces/shop";

it("are the namespace's own, and its name", async () => {
  const { api } = await apiOf({ [PATH]: { metadata: { name: "shop", labels: { team: "shop" } } } });
  expect(await namespaceLabels(api, "shop")).toEqual({ "kubernetes.io/metadata.name": "shop", team: "shop" });
});

it.each([403, 404])("are its name alone where it cannot be read (%i)", async (status) => {
  const { api } = await apiOf({ [PATH]: status });
  expect(await namespaceLabels(api, "shop")).toEqual({ "kubernetes.io/metadata.name": "shop" });
});
