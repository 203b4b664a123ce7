import { describe, expect, it } from "vitest";
import { webAppPreflight } from "../../../../components/webApp/preflight.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { OWNER, runChecks } from "../../../support/preflight.ts";

const CONFIG = {
  namespace: "default",
  versions: [
    { name: "v116", version: "1.16" },
    { name: "v117", version: "1.17" },
  ],
};
const NAMESPACE = { "/api/v1/namespaces/default": { metadata: { name: "default" } } };
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";

const check = async (paths: Paths) =>
  (await runChecks(webAppPreflight, (await apiOf(paths)).api, CONFIG)).faults;

it("the namespace has to exist", async () => {
  expect(await check(NAMESPACE)).toEqual([]);
  expect(await check({})).toEqual([
    expect.stringMatching(
      /^namespace is default, and cluster .* has no such namespace; create it \(kubectl create namespace default\), or set namespace to one that exists$/,
    ),
  ]);
});

it("what the wait for a Deployment watches is among the permissions", () => {
  const watched = webAppPreflight
    .permissions(CONFIG)
    .filter(({ verbs }) => verbs.join() === "list,watch")
    .map(({ group, resource, namespace }) => `${group}/${resource} ${namespace}`);
  expect(watched).toEqual(["/pods default", "apps/replicasets default", "/persistentvolumeclaims default"]);
});

describe("a label of pods that changes under a name that stays", () => {
  const deployment = (version: string, owner = OWNER) => ({
    metadata: { name: "nginx-v117", annotations: { "istio-lab/owner": owner } },
    spec: { selector: { matchLabels: { app: "nginx", version } } },
  });

  it("is refused: a Deployment cannot change it", async () => {
    expect(await check({ ...NAMESPACE, [DEPLOYMENTS]: { items: [deployment("1.17-old")] } })).toEqual([
      expect.stringMatching(
        /^versions\[1\]\.version is 1\.17, and the pods of Deployment nginx-v117 in namespace default have the label version=1\.17-old, .*: give 1\.17 a name of its own, .*kubectl delete --namespace=default deployment nginx-v117\)$/,
      ),
    ]);
  });

  it.each([
    ["the same label", deployment("1.17")],
    ["a Deployment of another stack", deployment("1.17-old", "organization/istio-lab/prod")],
  ])("%s: no fault", async (_, one) => {
    expect(await check({ ...NAMESPACE, [DEPLOYMENTS]: { items: [one] } })).toEqual([]);
  });
});
