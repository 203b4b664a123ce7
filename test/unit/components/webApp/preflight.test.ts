/** Tests of components/webApp/preflight.ts. */
import { describe, expect, it } from "vitest";
import { type Needs, webAppPreflight } from "../../../../components/webApp/preflight.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { OWNER, runChecks } from "../../../support/preflight.ts";

const CONFIG: Needs = {
  namespace: "default",
  versions: [
    { name: "v116", version: "1.16", image: "nginx:1.16.1", replicas: 3, page: "v1.16.1" },
    { name: "v117", version: "1.17", image: "nginx:1.17.9", replicas: 3, page: "v1.17.9" },
  ],
  istio: { version: "1.31.0" },
};
const NAMESPACE = { "/api/v1/namespaces/default": { metadata: { name: "default" } } };
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";

const check = async (paths: Paths, config = CONFIG) =>
  (await runChecks(webAppPreflight, (await apiOf(paths)).api, config)).faults;

it("the namespace has to exist", async () => {
  expect(await check(NAMESPACE)).toEqual([]);
  expect(await check({})).toEqual([
    expect.stringMatching(
      /^namespace is default, and cluster .* has no such namespace; create it \(kubectl create namespace default\), or set namespace to one that exists$/,
    ),
  ]);
});

it("a namespace that is being deleted is none", async () => {
  const [[path = "", namespace] = []] = Object.entries(NAMESPACE);
  const going = { metadata: { ...(namespace as { metadata: object }).metadata, deletionTimestamp: "now" } };
  expect(await check({ [path]: going })).toEqual([
    expect.stringMatching(/^namespace is default, which is being deleted: create it anew when it is gone/),
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

describe("a label of the namespace that decides about injection", () => {
  const namespace = (labels: object) => ({
    "/api/v1/namespaces/default": { metadata: { name: "default", labels } },
  });
  const service = (owner: string) => ({
    "/api/v1/namespaces/default/services/nginx-svc": {
      metadata: { name: "nginx-svc", annotations: { "istio-lab/owner": owner } },
    },
  });
  const stable = { ...CONFIG, istio: { ...CONFIG.istio, revision: "stable" } };

  it.each<[string, object, Needs, RegExp[]]>([
    ["none", {}, CONFIG, []],
    ["the same", { "istio-injection": "enabled" }, CONFIG, []],
    [
      "no injection",
      { "istio-injection": "disabled" },
      CONFIG,
      [/istio-injection=disabled, and the .*kubectl label namespace default istio-injection-\), or set/],
    ],
    [
      "a revision",
      { "istio.io/rev": "canary" },
      CONFIG,
      [
        /istio\.io\/rev=canary: set istio\.revision to canary, or remove it \(kubectl label namespace default/,
      ],
    ],
    ["the configured revision", { "istio.io/rev": "stable" }, stable, []],
    [
      "the default one beside a configured revision",
      { "istio-injection": "enabled" },
      stable,
      [/istio-injection=enabled, which counts more than istio\.revision stable: remove it/],
    ],
  ])("%s", async (_, labels, config, faults) => {
    expect(await check(namespace(labels), config)).toEqual(faults.map((one) => expect.stringMatching(one)));
  });

  it("is drift where the stack is up, which an update sets back", async () => {
    const labels = { "istio-injection": "disabled" };
    expect(await check({ ...namespace(labels), ...service(OWNER) })).toEqual([]);
    expect(await check({ ...namespace(labels), ...service("organization/istio-lab/prod") })).toHaveLength(1);
  });
});
