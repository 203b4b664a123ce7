/** Tests of components/istio/installed.ts. */
import { expect, it } from "vitest";
import {
  type Injector,
  injectorsOf,
  isExternal,
  revisionOf,
  servesRevision,
  takes,
} from "../../../../components/istio/installed.ts";
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
  expect(injectors).toMatchObject([
    { name: "1-31", revision: "1-31" },
    { name: "default", revision: "1-31" },
    { name: "old", revision: "1-30" },
  ]);
  expect(injectors).toHaveLength(3);
  expect(revisionOf(injectors, "old")).toBe("1-30");
  expect(revisionOf(injectors, "1-29")).toBe("1-29");
});

it("an istiod serves its revision; one without a label may be of any", () => {
  const plane = (labels: Record<string, string>) => ({ metadata: { name: "istiod", labels } });
  expect(servesRevision(plane({ "istio.io/rev": "1-31" }), "1-31")).toBe(true);
  expect(servesRevision(plane({ "istio.io/rev": "1-31" }), "default")).toBe(false);
  expect(servesRevision(plane({}), "default")).toBe(true);
});

it("a webhook takes the pods that both of its selectors select", () => {
  const injector = (...webhooks: NonNullable<Injector["webhooks"]>): Injector => ({
    ...{ name: "default", revision: "default", configuration: "istio-sidecar-injector" },
    webhooks,
  });
  const never = { namespaceSelector: { matchLabels: { "istio.io/deactivated": "never-match" } } };
  const labelled = { namespaceSelector: { matchLabels: { "istio-injection": "enabled" } } };
  const notApp = {
    objectSelector: { matchExpressions: [{ key: "app", operator: "NotIn", values: ["nginx"] }] },
  };
  const namespace = { "istio-injection": "enabled" };
  expect(takes(injector(never, labelled), namespace, { app: "nginx" })).toBe(true);
  expect(takes(injector(never), namespace, { app: "nginx" })).toBe(false);
  expect(takes(injector({ ...labelled, ...notApp }), namespace, { app: "nginx" })).toBe(false);
  expect(takes({ ...injector(), webhooks: undefined }, namespace, {})).toBe(true);
  expect(isExternal(injector(labelled))).toBe(false);
  expect(isExternal(injector({ clientConfig: { url: "https://istiod.example.org/inject" } }))).toBe(true);
});
