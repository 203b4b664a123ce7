/** Tests of components/istio/podCheck.ts. */
import { describe, expect, it } from "vitest";
import { ApiError, type KubernetesApi } from "../../../../clients/kubernetes.ts";
import { checkIstioPods, type IstioPodNeeds, wayOutOfIstio } from "../../../../components/istio/podCheck.ts";
import { faultsOfCheck } from "../../../support/preflight.ts";

interface There {
  /** Metadata of namespace istio-system; undefined: it does not exist. */
  readonly home?: object | undefined;
  /** @default none */
  readonly planes?: readonly object[];
  /** True: the DaemonSet of Istio's CNI is there. @default false */
  readonly cni?: boolean;
  /** Names of pods that are refused. @default none */
  readonly refused?: readonly string[];
}

const WORDS = 'pods "x" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes';
const CNI = { components: { cni: { enabled: true } } };

async function check({ home, planes = [], cni = false, refused = [] }: There, istio: object = {}) {
  const tried: { metadata: { name: string; labels: object } }[] = [];
  const api = {
    metadata: async (path: string) => {
      if (path === "/api/v1/namespaces/istio-system") return home && { metadata: home };
      return cni ? { metadata: {} } : undefined;
    },
    list: async () => ({ items: planes }),
    create: async (path: string, pod: (typeof tried)[number], options: object) => {
      expect(path).toBe("/api/v1/namespaces/istio-system/pods");
      expect(options).toMatchObject({ dryRun: true });
      tried.push(pod);
      if (refused.includes(pod.metadata.name))
        throw new ApiError(403, "Forbidden", WORDS.replace("x", pod.metadata.name));
      return pod;
    },
  } as unknown as KubernetesApi;
  const config: IstioPodNeeds = {
    labels: { team: "mesh" },
    istio: { version: "1.31.0", manage: true, ...istio },
  };
  return { faults: await faultsOfCheck(checkIstioPods, api, config), tried };
}

const names = ({ tried }: Awaited<ReturnType<typeof check>>) => tried.map(({ metadata }) => metadata.name);

describe("pods of Istio's own", () => {
  it("are tried where the namespace is there and Istio is not, with the setting labels", async () => {
    const found = await check({ home: {} });
    expect(found.faults).toEqual([]);
    expect(names(found)).toEqual(["istiod", "istio-ingressgateway"]);
    expect(found.tried[0]?.metadata.labels).toMatchObject({ team: "mesh", app: "istiod" });
    expect(names(await check({ home: {} }, CNI))).toEqual([
      "istiod",
      "istio-ingressgateway",
      "istio-cni-node",
    ]);
  });

  it("are tried only where the update adds them", async () => {
    const planes = [{ metadata: { name: "istiod" } }];
    expect(names(await check({ home: {}, planes }))).toEqual([]);
    expect(names(await check({ home: {}, planes }, CNI))).toEqual(["istio-cni-node"]);
    expect(names(await check({ home: {}, planes, cni: true }, CNI))).toEqual([]);
    expect(names(await check({ home: undefined }, CNI))).toEqual([]);
    expect(names(await check({ home: {} }, { manage: false }))).toEqual([]);
  });

  it("that Pod Security refuses are named together, with the command that lets them in", async () => {
    const refused = ["istio-cni-node"];
    expect((await check({ home: {}, refused }, CNI)).faults).toEqual([
      "namespace istio-system does not accept pods of istio-cni-node: pods is forbidden: violates PodSecurity " +
        '"baseline:latest": hostPath volumes: let the namespace run them (kubectl label --overwrite ' +
        "namespace istio-system pod-security.kubernetes.io/enforce=privileged)",
    ]);
    const both = await check({ home: {}, refused: ["istiod", "istio-ingressgateway"] });
    expect(both.faults).toEqual([expect.stringContaining("pods of istiod, istio-ingressgateway: ")]);
  });

  it("wait for the namespace's end where it is being deleted", async () => {
    const found = await check({ home: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
    expect(found.faults).toEqual([
      expect.stringMatching(/^namespace istio-system is being deleted: run this/),
    ]);
  });
});

it.each<[string, RegExp]>([
  ["exceeded quota: few", /^set other resources in istio\.values/],
  ["pods with system-node-critical priorityClass is not permitted", /PriorityClass system-node-critical\)$/],
  ['failed calling webhook "a.b": service "gone" not found', /^repair what answers for that webhook/],
  [
    'admission webhook "a.b" denied the request: label team',
    /^give what the policy requires \(setting labels;/,
  ],
])("the way out of %s", (refusal, wayOut) => {
  expect(wayOutOfIstio(refusal)).toMatch(wayOut);
});
