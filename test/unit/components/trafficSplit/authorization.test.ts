/** Tests of components/trafficSplit/authorization.ts. */
import { expect, it } from "vitest";
import {
  type AuthorizationPolicy,
  checkAuthorization,
  policiesAgainst,
} from "../../../../components/trafficSplit/authorization.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf } from "../../../support/clusterServer.ts";
import { OWNER } from "../../../support/preflight.ts";

const POD = { namespace: "shop", labels: { app: "nginx", version: "1.16" } };
const policy = (spec: AuthorizationPolicy["spec"], namespace = "shop"): AuthorizationPolicy => ({
  metadata: { namespace, name: "rule" },
  ...(spec ? { spec } : {}),
});
const ALLOWED = { rules: [{ from: [{ source: { namespaces: ["istio-system"] } }] }] };

it.each<[string, AuthorizationPolicy[], string[]]>([
  ["none", [], []],
  ["one that allows nothing", [policy({})], ["shop/rule"]],
  ["one that allows nothing, of the mesh", [policy({}, "istio-system")], ["istio-system/rule"]],
  ["one that allows nothing, beside one that allows something", [policy({}), policy(ALLOWED)], []],
  ["one that allows everything", [policy({ rules: [{}] })], []],
  ["one of another namespace", [policy({}, "team")], []],
  ["one for other pods", [policy({ selector: { matchLabels: { app: "db" } } })], []],
  ["one for a waypoint", [policy({ targetRefs: [{}] })], []],
  ["one that denies everything", [policy({ action: "DENY", rules: [{}] }), policy(ALLOWED)], ["shop/rule"]],
  ["one that denies something", [policy({ action: "DENY", ...ALLOWED })], []],
  ["one that denies nothing", [policy({ action: "DENY" })], []],
  ["one that only logs", [policy({ action: "AUDIT" })], []],
])("policies: %s", (_, policies, names) => {
  expect(policiesAgainst(policies, POD)).toEqual(names);
});

it("one that selects pods by the labels of the settings is found", async () => {
  const path = "/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies";
  const { api } = await apiOf({
    [path]: { items: [policy({ selector: { matchLabels: { team: "shop" } } })] },
  });
  const check = async (labels: Record<string, string>) => {
    const versions = [{ version: "1.16" }];
    const config = { namespace: "shop", labels, versions, istio: { gateway: ISTIO_GATEWAY } };
    const signal = AbortSignal.timeout(10_000);
    return (await checkAuthorization({ api, config, owner: OWNER, signal })).faults;
  };
  expect(await check({ team: "shop" })).toHaveLength(1);
  expect(await check({ team: "other" })).toEqual([]);
});

it("one that refuses every request is a fault; a cluster without the kind has none", async () => {
  const check = async (items: AuthorizationPolicy[] | undefined) => {
    const path = "/apis/security.istio.io/v1/namespaces/istio-system/authorizationpolicies";
    const { api } = await apiOf(items ? { [path]: { items } } : {});
    const config = { namespace: "shop", versions: [{ version: "1.16" }], istio: { gateway: ISTIO_GATEWAY } };
    const { faults } = await checkAuthorization({
      api,
      config,
      owner: OWNER,
      signal: AbortSignal.timeout(10_000),
    });
    return faults.map(({ message }) => message);
  };
  expect(await check([policy({}, "istio-system")])).toEqual([
    expect.stringMatching(/^AuthorizationPolicy istio-system\/rule refuses every request .* get 403: allow/),
  ]);
  expect(await check(undefined)).toEqual([]);
});
