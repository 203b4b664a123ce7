import { expect, it } from "vitest";
import { istioPreflight } from "../../../../components/istio/preflight.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { OWNER, runChecks } from "../../../support/preflight.ts";

const VERSION = { "/version": { gitVersion: "v1.34.4" } };
const HOME = "/api/v1/namespaces/istio-system";
const ISTIODS = "/apis/apps/v1/deployments";
const GATEWAY = `${HOME}/services/istio-ingressgateway`;
const istiod = (namespace: string, name = "istiod") => ({ items: [{ metadata: { namespace, name } }] });
const claimedBy = (owner: string) => ({ metadata: { annotations: { "istio-lab/owner": owner } } });

const check = async (paths: Paths, istio: object = {}) => {
  const { api } = await apiOf({ ...VERSION, ...paths });
  const config = { istio: { version: "1.31.0", manage: true, ...istio } };
  return (await runChecks({ checks: istioPreflight.checks }, api, config)).faults;
};

it.each([
  ["v1.31.9", true],
  ["v1.32.0", false],
  ["v1.40.1+k3s1", false],
])("Kubernetes %s is too old for Istio 1.31: %s", async (gitVersion, tooOld) => {
  const faults = await check({ "/version": { gitVersion } });
  expect(faults).toEqual(
    tooOld
      ? [
          expect.stringMatching(
            /^istio\.version is 1\.31\.0, and Istio 1\.31 supports Kubernetes 1\.32 and later; cluster .* is v1\.31\.9: upgrade/,
          ),
        ]
      : [],
  );
});

it.each<[string, Paths, object, RegExp[]]>([
  ["none, to be installed", {}, {}, []],
  ["this stack's", { [HOME]: claimedBy(OWNER), [ISTIODS]: istiod("istio-system") }, {}, []],
  [
    "one without an owner",
    { [ISTIODS]: istiod("istio-system") },
    {},
    [/^there is an Istio .* did not install \(istio-system\/istiod\): set istio\.manage to false/],
  ],
  [
    "another stack's",
    { [HOME]: claimedBy("organization/istio-lab/prod") },
    {},
    [
      /^the Istio in this cluster was installed by stack organization\/istio-lab\/prod; .* set istio\.manage to false/,
    ],
  ],
  ["one to be used", { [ISTIODS]: istiod("istio-system"), [GATEWAY]: claimedBy("x") }, { manage: false }, []],
  [
    "none, to be used",
    { [ISTIODS]: istiod("mesh", "istiod-canary") },
    { manage: false },
    [
      /^istio\.manage is false, and the cluster has no Deployment istio-system\/istiod and no Service istio-system\/istio-ingressgateway \(control planes found: mesh\/istiod-canary\): set istio\.manage to true/,
    ],
  ],
  [
    "this stack's, to be used only",
    { [HOME]: claimedBy(OWNER), [ISTIODS]: istiod("istio-system"), [GATEWAY]: claimedBy("x") },
    { manage: false },
    [
      /^istio\.manage is false, and this stack installed .*: give up the claim first \(kubectl annotate namespace istio-system istio-lab\/owner-\), or set/,
    ],
  ],
])("Istio in the cluster: %s", async (_, paths, istio, faults) => {
  expect(await check(paths, istio)).toEqual(faults.map((fault) => expect.stringMatching(fault)));
});

it("rights to install are needed only where Istio is installed", () => {
  const needed = (manage: boolean) =>
    istioPreflight.permissions({ istio: { version: "1.31.0", manage } }).map(({ resource }) => resource);
  expect(needed(true)).toContain("clusterroles");
  expect(needed(false)).toEqual(["deployments", "services", "mutatingwebhookconfigurations"]);
});
