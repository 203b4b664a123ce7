/** Tests of components/webApp/podCheck.ts. */
import { describe, expect, it } from "vitest";
import { ApiError, type KubernetesApi } from "../../../../clients/kubernetes.ts";
import { checkPods, type PodCheckNeeds } from "../../../../components/webApp/podCheck.ts";
import { OWNER } from "../../../support/preflight.ts";

const CONFIG: PodCheckNeeds = {
  namespace: "shop",
  versions: [
    { name: "v116", version: "1.16", image: "nginx:1.16.1", replicas: 3, page: "v1.16.1" },
    { name: "v117", version: "1.17", image: "nginx:1.17.9", replicas: 3, page: "v1.17.9" },
  ],
  istio: { version: "1.31.0" },
};
const RESTRICTED: PodCheckNeeds = {
  ...CONFIG,
  versions: CONFIG.versions.map((version) => ({ ...version, securityContext: "restricted" })),
};

interface Pod {
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> };
  readonly spec: {
    readonly initContainers: readonly { readonly name: string }[];
    readonly containers: readonly { readonly name: string }[];
  };
}

/** An API server that refuses pods, and the pods that it was to try. */
function server(refusal?: (pod: Pod) => ApiError, deployment?: object) {
  const tried: Pod[] = [];
  const create = async (path: string, pod: Pod, { dryRun }: { dryRun?: boolean }) => {
    expect(path).toBe("/api/v1/namespaces/shop/pods");
    expect(dryRun).toBe(true);
    tried.push(pod);
    if (refusal) throw refusal(pod);
    return pod;
  };
  return { api: { create, metadata: async () => deployment } as unknown as KubernetesApi, tried };
}

async function check(api: KubernetesApi, config = CONFIG): Promise<string[]> {
  const { faults } = await checkPods({ api, config, owner: OWNER, signal: AbortSignal.timeout(10_000) });
  return faults.map(({ message }) => message);
}

const forbidden = (why: string) => (pod: Pod) =>
  new ApiError(403, "Forbidden", `pods "${pod.metadata.name}" is forbidden: ${why}`);

describe("pods that the cluster would not accept", () => {
  it("are tried with their sidecar and its init container, which Istio's CNI makes needless", async () => {
    const { api, tried } = server();
    expect(await check(api)).toEqual([]);
    expect(tried.map(({ metadata }) => metadata.name)).toEqual(["nginx-v116", "nginx-v117"]);
    expect(tried[0]?.spec.containers.map(({ name }) => name)).toEqual(["nginx", "istio-proxy"]);
    expect(tried[0]?.spec.initContainers.map(({ name }) => name)).toEqual(["istio-init"]);
    expect(tried[0]?.metadata.labels).toMatchObject({ "sidecar.istio.io/inject": "false" });
    const cni = server();
    await check(cni.api, { ...CONFIG, istio: { version: "1.31.0", components: { cni: { enabled: true } } } });
    expect(cni.tried[0]?.spec.initContainers).toEqual([]);
  });

  const why = 'violates PodSecurity "restricted:latest": privileged';
  it.each<[string, PodCheckNeeds, string]>([
    [
      "neither",
      CONFIG,
      "set securityContext of each version to restricted and istio.components.cni.enabled to true, or let",
    ],
    ["the CNI", RESTRICTED, "set istio.components.cni.enabled to true, or let"],
  ])("Pod Security refuses them in one fault, with the way out: %s", async (_, config, wayOut) => {
    const { api } = server(forbidden(why));
    expect(await check(api, config)).toEqual([
      expect.stringContaining(
        `namespace shop does not accept pods of v116, v117: pods is forbidden: ${why}: ${wayOut} the ` +
          "namespace run them (kubectl label --overwrite namespace shop " +
          "pod-security.kubernetes.io/enforce=privileged)",
      ),
    ]);
  });

  it("a quota needs resources, of both containers", async () => {
    const { api } = server(forbidden("failed quota: limits: must specify limits.cpu for: nginx"));
    expect(await check(api)).toEqual([
      expect.stringContaining("set resources of each version (and istio.values.global.proxy.resources"),
    ]);
  });

  it("a quota that is used up is a fault before the stack is up, and none after", async () => {
    const refusal = forbidden("exceeded quota: pods, requested: pods=1, used: pods=6, limited: pods=6");
    expect(await check(server(refusal).api)).toHaveLength(1);
    const own = { metadata: { name: "nginx-v116", annotations: { "istio-lab/owner": OWNER } } };
    expect(await check(server(refusal, own).api)).toEqual([]);
  });

  it("a webhook's own words are the fault", async () => {
    const words = 'admission webhook "images.example.org" denied the request: no images of docker.io';
    const { api } = server(() => new ApiError(400, "BadRequest", words));
    expect(await check(api)).toEqual([expect.stringContaining(`${words}: give what the policy requires`)]);
  });

  it.each([
    [
      "the user may not create pods",
      new ApiError(403, "Forbidden", 'User "u" cannot create resource "pods"'),
    ],
    ["there is no such namespace", new ApiError(404, "NotFound", 'namespaces "shop" not found')],
    ["a webhook cannot try", new ApiError(400, "BadRequest", "webhook x does not support dry run")],
    ["there is no answer", new Error("socket hang up")],
  ])("is not known where %s: no fault", async (_, error) => {
    expect(await check(server(() => error as ApiError).api)).toEqual([]);
  });
});
