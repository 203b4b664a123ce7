/** Tests of components/webApp/networkPolicies.ts. */
import { describe, expect, it } from "vitest";
import {
  checkNetworkPolicies,
  type NetworkPolicy,
  policiesAgainst,
  type Traffic,
} from "../../../../components/webApp/networkPolicies.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf } from "../../../support/clusterServer.ts";
import { OWNER } from "../../../support/preflight.ts";

const podsOf = (namespace: string, labels: Record<string, string>) => ({
  namespace,
  namespaceLabels: { "kubernetes.io/metadata.name": namespace },
  labels,
});
const FROM_GATEWAY: Traffic = {
  direction: "Ingress",
  pods: podsOf("shop", { app: "nginx", version: "1.16" }),
  peer: podsOf("istio-system", { istio: "ingressgateway" }),
  port: 80,
};
const policy = (spec: NetworkPolicy["spec"], name = "rule"): NetworkPolicy => ({
  metadata: { namespace: "shop", name },
  ...(spec ? { spec } : {}),
});
const allowing = (...from: object[]) => policy({ podSelector: {}, ingress: [{ from }] }, "allow");
const DENY = policy({ podSelector: {} }, "deny");
const named = (name: string) => ({ matchLabels: { "kubernetes.io/metadata.name": name } });

describe("requests of the gateway", () => {
  it.each<[string, NetworkPolicy[], string[]]>([
    ["nothing", [], []],
    ["a policy that lets nothing in", [DENY], ["shop/deny"]],
    ["a policy about egress alone", [policy({ podSelector: {}, policyTypes: ["Egress"] })], []],
    ["a policy for other pods", [policy({ podSelector: { matchLabels: { app: "db" } } })], []],
    ["a policy of another namespace", [{ ...DENY, metadata: { namespace: "other", name: "deny" } }], []],
    ["pods of the same namespace only", [allowing({ podSelector: {} })], ["shop/allow"]],
    ["the gateway's namespace", [DENY, allowing({ namespaceSelector: named("istio-system") })], []],
    ["another namespace", [allowing({ namespaceSelector: named("team") })], ["shop/allow"]],
    [
      "other pods of the gateway's namespace",
      [allowing({ namespaceSelector: {}, podSelector: { matchLabels: { istio: "egressgateway" } } })],
      ["shop/allow"],
    ],
    [
      "pods by labels that are not known",
      [allowing({ namespaceSelector: {}, podSelector: { matchLabels: { "pod-template": "x" } } })],
      [],
    ],
    ["addresses", [allowing({ ipBlock: { cidr: "10.0.0.0/8" } })], []],
    ["another port", [policy({ podSelector: {}, ingress: [{ ports: [{ port: 8080 }] }] })], ["shop/rule"]],
    ["a range of ports", [policy({ podSelector: {}, ingress: [{ ports: [{ port: 1, endPort: 99 }] }] })], []],
    [
      "another protocol",
      [policy({ podSelector: {}, ingress: [{ ports: [{ protocol: "UDP", port: 80 }] }] })],
      ["shop/rule"],
    ],
  ])("against %s", (_, policies, names) => {
    expect(policiesAgainst(policies, FROM_GATEWAY)).toEqual(names);
  });

  it("from outside come from addresses, not from pods", () => {
    const traffic = { ...FROM_GATEWAY, peer: undefined };
    expect(policiesAgainst([allowing({ namespaceSelector: {} })], traffic)).toEqual(["shop/allow"]);
    expect(policiesAgainst([allowing({ ipBlock: { cidr: "0.0.0.0/0" } })], traffic)).toEqual([]);
  });
});

describe("the check", () => {
  const check = async (namespace: string, items: NetworkPolicy[]) => {
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
    const { api } = await apiOf({ [path]: { items } });
    const istio = { gateway: ISTIO_GATEWAY, manage: true };
    const config = { namespace: "shop", versions: [{ version: "1.16" }, { version: "1.17" }], istio };
    return checkNetworkPolicies({ api, config, owner: OWNER, signal: AbortSignal.timeout(10_000) });
  };

  it("warns of what a policy that denies everything closes, once for all versions", async () => {
    const everything = policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"] }, "deny");
    const { faults, warnings } = await check("shop", [everything]);
    expect(faults).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^NetworkPolicy shop\/deny lets no requests of the gateway's pods .* to port 80 of the app/,
      ),
      expect.stringMatching(
        /^NetworkPolicy shop\/deny lets no connections of the application's sidecars to port 15012/,
      ),
    ]);
  });

  it("sees the namespace with the label that the update sets", async () => {
    const to = (labels: Record<string, string>) => ({
      metadata: { namespace: "istio-system", name: "door" },
      spec: {
        podSelector: { matchLabels: { istio: "ingressgateway" } },
        policyTypes: ["Egress"],
        egress: [{ to: [{ namespaceSelector: { matchLabels: labels } }] }],
      },
    });
    expect((await check("istio-system", [to({ "istio-injection": "enabled" })])).warnings).toEqual([]);
    expect((await check("istio-system", [to({ team: "other" })])).warnings).toHaveLength(1);
  });

  it("warns of one that closes the gateway", async () => {
    const closed = { ...DENY, metadata: { namespace: "istio-system", name: "deny" } };
    const { warnings } = await check("istio-system", [closed]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^NetworkPolicy istio-system\/deny lets no connections from outside the cluster to/,
      ),
    ]);
  });

  it("has no warning where nothing is closed", async () => {
    expect((await check("shop", [])).warnings).toEqual([]);
  });
});
