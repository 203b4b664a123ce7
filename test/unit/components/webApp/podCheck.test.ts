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

interface There {
  /** Deployments of label app=nginx. @default none */
  readonly deployments?: readonly object[];
  /** @default none; 403: they may not be listed */
  readonly quotas?: readonly object[] | 403;
  /** The template of each Deployment after the update. @default as it is */
  readonly template?: object;
}

/** An API server that refuses pods, and the pods that it was to try. */
function server(
  refusal?: (pod: Pod) => ApiError | undefined,
  { deployments = [], quotas = [], template = TEMPLATE }: There = {},
) {
  const tried: Pod[] = [];
  const create = async (path: string, pod: Pod, { dryRun }: { dryRun?: boolean }) => {
    expect(path).toBe("/api/v1/namespaces/shop/pods");
    expect(dryRun).toBe(true);
    tried.push(pod);
    const error = refusal?.(pod);
    if (error) throw error;
    return pod;
  };
  const list = async (path: string) => {
    if (!path.endsWith("/resourcequotas")) return { items: deployments };
    if (quotas === 403) throw new ApiError(403, "Forbidden", "resourcequotas is forbidden");
    return { items: quotas };
  };
  const apply = async (path: string, _: object, options: object) => {
    expect(path).toMatch(/\/deployments\/nginx-v11[67]$/);
    expect(options).toMatchObject({ dryRun: true, force: true, fieldManager: "istio-lab" });
    return { spec: { template } };
  };
  return { api: { create, list, apply } as unknown as KubernetesApi, tried };
}

async function check(api: KubernetesApi, config = CONFIG): Promise<string[]> {
  const { faults } = await checkPods({ api, config, owner: OWNER, signal: AbortSignal.timeout(10_000) });
  return faults.map(({ message }) => message);
}

const own = (name: string, replicas: number) => ({
  metadata: { name: `nginx-${name}`, annotations: { "istio-lab/owner": OWNER } },
  spec: { template: TEMPLATE },
  status: { replicas },
});

const TEMPLATE = { metadata: { annotations: { "istio-lab/page": "now" } } };

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
    const deployments = [own("v116", 3), own("v117", 3)];
    expect(await check(server(refusal, { deployments }).api)).toEqual([]);
    expect(await check(server(refusal, { deployments, quotas: 403 }).api)).toEqual([]);
  });

  it("a quota with room for each pod alone is too small for all of them together", async () => {
    const quotas = [{ metadata: { name: "few" }, spec: { hard: { pods: "5", "limits.cpu": "13" } } }];
    expect(await check(server(undefined, { quotas }).api)).toEqual([
      "namespace shop has no room for all pods of v116, v117: ResourceQuota few allows pods 5, of which 0 " +
        "is used and 6 more is needed: set fewer replicas or smaller resources of the versions " +
        "(istio.values.global.proxy.resources for the sidecar), have the ResourceQuota changed, or set " +
        "namespace to another one",
    ]);
    const refusal = forbidden("exceeded quota: few, requested: pods=1, used: pods=5, limited: pods=5");
    expect(await check(server(refusal, { quotas }).api)).toHaveLength(1);
  });

  it("pods that run already are in what is used; more replicas are not", async () => {
    const hard = { pods: "7" };
    const quotas = [{ metadata: { name: "few" }, spec: { hard }, status: { hard, used: { pods: "6" } } }];
    const there = { quotas, deployments: [own("v116", 3), own("v117", 3)] };
    const scaled = (replicas: number): PodCheckNeeds => ({
      ...CONFIG,
      versions: CONFIG.versions.map((version) => ({ ...version, replicas })),
    });
    expect(await check(server(undefined, there).api, scaled(3))).toEqual([]);
    expect(await check(server(undefined, there).api, scaled(2))).toEqual([]);
    expect(await check(server(undefined, there).api, scaled(4))).toEqual([
      expect.stringContaining("allows pods 7, of which 6 is used and 2 more is needed"),
    ]);
  });

  it("a rollout needs room for one pod more than those that run", async () => {
    const full = (used: string) => [
      { metadata: { name: "few" }, spec: { hard: { pods: "7" } }, status: { used: { pods: used } } },
    ];
    const deployments = [own("v116", 3), own("v117", 3)];
    const template = { metadata: { annotations: { "istio-lab/page": "another" } } };
    expect(await check(server(undefined, { deployments, quotas: full("7") }).api)).toEqual([]);
    expect(await check(server(undefined, { deployments, template, quotas: full("6") }).api)).toEqual([]);
    expect(await check(server(undefined, { deployments, template, quotas: full("7") }).api)).toEqual(
      ["v116", "v117"].map((name) =>
        expect.stringContaining(
          `namespace shop has no room for the rollout of ${name}, which needs one pod more than those that run: ` +
            "ResourceQuota few allows pods 7, of which 7 is used and 1 more is needed: set fewer replicas",
        ),
      ),
    );
    const fewer = { ...CONFIG, versions: CONFIG.versions.map((version) => ({ ...version, replicas: 2 })) };
    expect(await check(server(undefined, { deployments, template, quotas: full("7") }).api, fewer)).toEqual(
      [],
    );
  });

  it("the resources that the API server gives the pod count, e.g. those of a LimitRange", async () => {
    const resources = { requests: { memory: "1Gi" } };
    const { api } = server(undefined, {
      quotas: [{ metadata: { name: "few" }, spec: { hard: { "requests.memory": "6Gi" } } }],
    });
    const limited = {
      ...api,
      create: async (_: string, pod: Pod) => ({
        ...pod,
        spec: { ...pod.spec, containers: pod.spec.containers.map((each) => ({ resources, ...each })) },
      }),
    } as unknown as KubernetesApi;
    expect(await check(api)).toEqual([]);
    expect(await check(limited)).toEqual([expect.stringContaining("6912Mi more is needed")]);
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
