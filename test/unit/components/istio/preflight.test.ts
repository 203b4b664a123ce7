/** Tests of components/istio/preflight.ts. */
import { expect, it } from "vitest";
import { istioPreflight } from "../../../../components/istio/preflight.ts";
import { ISTIO_GATEWAY } from "../../../../mesh/model.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { GATEWAY_PORTS } from "../../../support/mocks.ts";
import { OWNER, runChecks } from "../../../support/preflight.ts";

const VERSION = { "/version": { gitVersion: "v1.34.4" } };
const HOME = "/api/v1/namespaces/istio-system";
const ISTIODS = "/apis/apps/v1/deployments";
const GATEWAY = `${HOME}/services/istio-ingressgateway`;
const WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const injectors = (...labels: object[]) => ({
  [WEBHOOKS]: { items: labels.map((of) => ({ metadata: { name: "injector", labels: of } })) },
});
const KINDS = { "/apis/networking.istio.io/v1": {} };
const DEFAULT = { "istio.io/rev": "default" };
const CANARY = { "istio.io/rev": "canary" };
const gateway = ISTIO_GATEWAY;
const istiod = (namespace: string, name = "istiod") => ({ items: [{ metadata: { namespace, name } }] });
/** An istiod of a revision. */
const plane = (revision: string, replicas: number, availableReplicas = replicas) => ({
  metadata: { namespace: "istio-system", name: `istiod-${revision}`, labels: { "istio.io/rev": revision } },
  spec: { replicas },
  status: { availableReplicas },
});
/** The gateway's Service. */
const door = (ports: object[] = GATEWAY_PORTS) => ({ metadata: { name: "door" }, spec: { ports } });
const claimedBy = (owner: string) => ({ metadata: { annotations: { "istio-lab/owner": owner } } });

const check = async (paths: Paths, istio: { manage?: boolean; revision?: string } = {}, otherwise = 404) => {
  const there: Paths = istio.manage === false ? { [ISTIODS]: istiod("istio-system"), ...KINDS } : {};
  const { api } = await apiOf({ ...VERSION, ...there, ...paths }, { otherwise });
  const config = { namespace: "default", istio: { version: "1.31.0", manage: true, gateway, ...istio } };
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
  [
    "its webhooks and its gateway alone, to be used",
    { ...injectors(DEFAULT), [GATEWAY]: door(), [ISTIODS]: { items: [] } },
    { manage: false },
    [/^istio\.manage is false, and the cluster has no istiod .*: set istio\.manage to true/],
  ],
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
  ["one to be used", { ...injectors(DEFAULT), [GATEWAY]: door() }, { manage: false }, []],
  [
    "none, to be used",
    {},
    { manage: false },
    [
      /^istio\.manage is false, and the cluster has no Istio that injects sidecars: set istio\.manage to true/,
    ],
  ],
  [
    "one of another revision, with another gateway",
    {
      ...injectors(CANARY, { ...CANARY, "istio.io/tag": "stable" }),
      "/api/v1/services": { items: [{ metadata: { namespace: "ingress", name: "door" } }] },
    },
    { manage: false },
    [
      /has no Istio of the default revision: set istio\.revision to one that it has \(canary, stable\)$/,
      /has no Service istio-system\/istio-ingressgateway: set istio\.gateway .* that it has \(ingress\/door\), or/,
    ],
  ],
  [
    "one of a tag, with another gateway, as configured",
    {
      ...injectors({ ...CANARY, "istio.io/tag": "stable" }),
      "/api/v1/namespaces/ingress/services/door": door(),
    },
    {
      manage: false,
      revision: "stable",
      gateway: { namespace: "ingress", service: "door", selector: { istio: "door" } },
    },
    [],
  ],
  [
    "one whose gateway has pods with other labels than the selector",
    {
      ...injectors(DEFAULT),
      [GATEWAY]: { spec: { ports: GATEWAY_PORTS, selector: { app: "ingress", istio: "ingress" } } },
    },
    { manage: false },
    [
      /^istio\.manage is false, and istio\.gateway\.selector is istio=ingressgateway, and the pods of Service istio-system\/istio-ingressgateway have other labels: .* \(app=ingress, istio=ingress\)$/,
    ],
  ],
  [
    "one whose gateway's Service selects its pods by another label",
    { ...injectors(DEFAULT), [GATEWAY]: { spec: { ports: GATEWAY_PORTS, selector: { app: "ingress" } } } },
    { manage: false },
    [],
  ],
  [
    "a tag that stands for a revision whose istiod is gone",
    {
      ...injectors({ ...CANARY, "istio.io/tag": "stable" }),
      [GATEWAY]: door(),
      [ISTIODS]: { items: [plane("1-31", 1)] },
    },
    { manage: false, revision: "stable" },
    [
      /^istio\.manage is false, and tag stable stands for revision canary, which has no istiod, .*: move the tag \(istioctl tag set stable --revision=REVISION --overwrite\), or set istio\.revision to another one \(istiod is there of 1-31\)$/,
    ],
  ],
  [
    "a webhook that an uninstalled revision left",
    { ...injectors(CANARY), [GATEWAY]: door(), [ISTIODS]: { items: [plane("1-31", 1)] } },
    { manage: false, revision: "canary" },
    [
      /^istio\.manage is false, and revision canary has a webhook and no istiod, .* \(istiod is there of 1-31\)$/,
    ],
  ],
  [
    "an istiod that is scaled to 0, beside one of another revision",
    { ...injectors(CANARY), [GATEWAY]: door(), [ISTIODS]: { items: [plane("canary", 0), plane("1-31", 1)] } },
    { manage: false, revision: "canary" },
    [
      /^istio\.manage is false, and its istiod is scaled to 0: kubectl scale --replicas=1 deployment istiod-canary --namespace=istio-system$/,
    ],
  ],
  [
    "one with a gateway of type ClusterIP, and without a port for its health",
    { ...injectors(DEFAULT), [GATEWAY]: door([{ name: "http", port: 80 }]) },
    { manage: false },
    [
      /^istio\.manage is false, and Service istio-system\/istio-ingressgateway has no NodePort for port 80 \(http2\): its type must be LoadBalancer or NodePort/,
      /has no NodePort for port 15021 \(status-port\)/,
    ],
  ],
  [
    "one with a gateway whose ports have other names",
    {
      ...injectors(DEFAULT),
      [GATEWAY]: door(GATEWAY_PORTS.map((port) => ({ ...port, name: `p${port.port}` }))),
    },
    { manage: false },
    [],
  ],
  [
    "one outside the cluster",
    {
      [WEBHOOKS]: {
        items: [
          {
            metadata: { name: "i", labels: DEFAULT },
            webhooks: [{ clientConfig: { url: "https://i.test" } }],
          },
        ],
      },
      [ISTIODS]: { items: [] },
      [GATEWAY]: door(),
    },
    { manage: false },
    [],
  ],
  [
    "one whose webhooks are switched off",
    {
      [WEBHOOKS]: {
        items: [
          {
            metadata: { name: "istio-sidecar-injector", labels: DEFAULT },
            webhooks: [{ namespaceSelector: { matchLabels: { "istio.io/deactivated": "never-match" } } }],
          },
        ],
      },
      [GATEWAY]: door(),
    },
    { manage: false },
    [
      /^istio\.manage is false, and the webhooks of revision default leave out the application's pods, .* \(kubectl get mutatingwebhookconfiguration istio-sidecar-injector --output=yaml\)/,
    ],
  ],
  [
    "one that does not know the version of its kinds",
    { ...injectors(DEFAULT), [GATEWAY]: door(), "/apis/networking.istio.io/v1": 404 },
    { manage: false },
    [
      /^istio\.manage is false, and the cluster does not serve networking\.istio\.io\/v1, .* to 1\.22 or later$/,
    ],
  ],
  [
    "this stack's, to be used only",
    { ...injectors(DEFAULT), [HOME]: claimedBy(OWNER), [GATEWAY]: door() },
    { manage: false },
    [
      /^istio\.manage is false, and this stack installed .*: give up the claim first \(kubectl annotate namespace istio-system istio-lab\/owner-\), or set/,
    ],
  ],
])("Istio in the cluster: %s", async (_, paths, istio, faults) => {
  expect(await check(paths, istio)).toEqual(faults.map((fault) => expect.stringMatching(fault)));
});

it("an istiod that is not ready is a warning; that of another revision does not count", async () => {
  const warn = async (manage: boolean, ...items: object[]) => {
    const home = { [HOME]: claimedBy(OWNER) };
    const paths = {
      ...VERSION,
      ...KINDS,
      ...injectors(CANARY),
      [GATEWAY]: door(),
      [ISTIODS]: { items },
      ...home,
    };
    const { api } = await apiOf(paths);
    const istio = { version: "1.31.0", manage, revision: "canary", gateway };
    const context = { api, config: { namespace: "default", istio }, owner: OWNER };
    const found = await Promise.all(
      istioPreflight.checks.map((check) => check({ ...context, signal: AbortSignal.timeout(10_000) })),
    );
    return found.flatMap(({ warnings = [] }) => warnings);
  };
  expect(await warn(false, plane("canary", 2, 1), plane("1-31", 1, 0))).toEqual([]);
  expect(await warn(true, plane("default", 1))).toEqual([]);
  expect(await warn(true, plane("default", 0))).toEqual([
    expect.stringMatching(/^no istiod is available \(istio-system\/istiod-default\): no pod with a sidecar/),
  ]);
  expect(await warn(false, plane("canary", 1, 0), plane("1-31", 1))).toEqual([
    expect.stringMatching(/^no istiod is available \(istio-system\/istiod-canary\): the update waits 300 s/),
  ]);
});

it("rights to install are needed only where Istio is installed", () => {
  const needed = (manage: boolean) =>
    istioPreflight
      .permissions({ namespace: "default", istio: { version: "1.31.0", manage, gateway } })
      .map(({ resource }) => resource);
  expect(needed(true)).toContain("clusterroles");
  expect(needed(false)).toEqual([
    ...["deployments", "services", "mutatingwebhookconfigurations"],
    "namespaces",
  ]);
});

it("an Istio that is only used needs no right besides these", async () => {
  const permitted = { ...injectors(DEFAULT), [GATEWAY]: door(), [HOME]: { metadata: {} } };
  expect(await check(permitted, { manage: false }, 403)).toEqual([]);
});
