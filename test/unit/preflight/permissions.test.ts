/** Tests of preflight/permissions.ts. */
import { describe, expect, it } from "vitest";
import type { Permission } from "../../../preflight/capability.ts";
import { permissionFaults } from "../../../preflight/permissions.ts";
import {
  ACCESS_REVIEWS,
  type Attributes,
  apiOf,
  type Behaviour,
  RULES_REVIEWS,
} from "../../support/clusterServer.ts";

const NEEDS: readonly Permission[] = [
  { verbs: ["get"], group: "", resource: "namespaces", namespace: "kube-system", name: "kube-system" },
  { verbs: ["list"], group: "", resource: "nodes", namespace: "" },
  { verbs: ["get", "create"], group: "apps", resource: "deployments", namespace: "shop" },
  { verbs: ["watch", "get"], group: "apps", resource: "deployments", namespace: "shop" },
];

async function check(behaviour: Behaviour) {
  const { api, requests } = await apiOf({}, behaviour);
  const faults = (await permissionFaults(api, NEEDS)).map(({ message }) => message);
  const count = (path: string) => requests.filter((request) => request === `POST ${path}`).length;
  return { faults, accessReviews: count(ACCESS_REVIEWS), rulesReviews: count(RULES_REVIEWS) };
}

const notEverything = ({ verb }: Attributes) => verb === "*";

it("a user who may do everything costs one request", async () => {
  expect(await check({})).toEqual({ faults: [], accessReviews: 1, rulesReviews: 0 });
});

it("all refusals are one line: each verb on each resource, once", async () => {
  const { faults } = await check({
    refused: ({ verb, resource }) => verb === "*" || resource === "deployments",
  });
  expect(faults).toEqual([
    "cluster https://example.test (kubeconfig k, context c) does not allow this user to get, create, " +
      "watch deployments.apps in namespace shop: allow these, or use a context whose user has the " +
      "cluster role cluster-admin",
  ]);
});

describe("rules of roles", () => {
  const inShop = { verbs: ["*"], apiGroups: ["apps"], resources: ["deployments"] };
  const rules = (complete: object) => (namespace: string) => ({
    resourceRules: namespace === "shop" ? [inShop] : [],
    ...complete,
  });

  it("answer for a whole namespace: a user of one namespace costs four requests, however slow the line", async () => {
    const node = "node authorizer does not support user rule resolution";
    const incomplete = { incomplete: true, evaluationError: node };
    expect(await check({ refused: () => true, rules: rules(incomplete) })).toEqual({
      faults: [expect.stringMatching(/to get namespaces kube-system; list nodes: allow these/)],
      accessReviews: 1,
      rulesReviews: 3,
    });
  });

  it("a role of one namespace allows nothing in the whole cluster", async () => {
    const everything = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
    const { faults } = await check({
      refused: () => true,
      rules: (namespace) => ({ resourceRules: namespace === "shop" ? [everything] : [] }),
    });
    expect(faults).toEqual([expect.stringMatching(/to get namespaces kube-system; list nodes: allow/)]);
  });

  it("that are incomplete leave the rest to an access review", async () => {
    const webhook = { incomplete: true, evaluationError: "webhook authorizer does not support rules" };
    expect(await check({ refused: notEverything, rules: rules(webhook) })).toEqual({
      faults: [],
      accessReviews: 3,
      rulesReviews: 3,
    });
  });

  it("of named objects count for these names only", async () => {
    const named = {
      verbs: ["get"],
      apiGroups: [""],
      resources: ["namespaces"],
      resourceNames: ["kube-system"],
    };
    const { faults } = await check({
      refused: () => true,
      rules: () => ({ resourceRules: [inShop, named, { ...named, resources: ["nodes"], verbs: ["list"] }] }),
    });
    expect(faults).toEqual([expect.stringMatching(/to list nodes: allow/)]);
  });
});
