/** Tests of components/istio/installed.ts. */
import { expect, it } from "vitest";
import { injectorsOf, revisionOf, servesRevision } from "../../../../components/istio/installed.ts";
import { apiOf } from "../../../support/clusterServer.ts";

const webhook = (rev?: string, tag?: string) => ({
  metadata: {
    name: "webhook",
    labels: { ...(rev ? { "istio.io/rev": rev } : {}), ...(tag ? { "istio.io/tag": tag } : {}) },
  },
});

it("revisions and tags inject; a tag counts before a revision of the same name", async () => {
  const items = [webhook("1-31", "default"), webhook("default"), webhook("1-31"), webhook("1-30", "old")];
  const { api } = await apiOf({
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": { items },
  });
  const injectors = await injectorsOf(api);
  expect(injectors).toEqual([
    { name: "1-31", revision: "1-31" },
    { name: "default", revision: "1-31" },
    { name: "old", revision: "1-30" },
  ]);
  expect(revisionOf(injectors, "old")).toBe("1-30");
  expect(revisionOf(injectors, "1-29")).toBe("1-29");
});

it("an istiod serves its revision; one without a label may be of any", () => {
  const plane = (labels: Record<string, string>) => ({ metadata: { name: "istiod", labels } });
  expect(servesRevision(plane({ "istio.io/rev": "1-31" }), "1-31")).toBe(true);
  expect(servesRevision(plane({ "istio.io/rev": "1-31" }), "default")).toBe(false);
  expect(servesRevision(plane({}), "default")).toBe(true);
});
