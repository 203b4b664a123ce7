/** Finds, downloads or builds the parts of the lab's machines, in a cache that all labs share. */
import { join } from "node:path";
import type { ListrTask } from "listr2";
import { cacheHome } from "../host/instance.ts";
import { withLock } from "../host/lock.ts";
import { goBinaries, type OnProgress } from "./go/go.ts";
import { COREDNS, type GoModule, ISTIO, KUBERNETES, PROMETHEUS, PULUMI } from "./go/modules.ts";
import { corednsImage, nginxImage, pauseImage, pilotImage, proxyImage } from "./images/images.ts";
import { BUILT_IMAGES, type ImageNames } from "./images/names.ts";
import { prometheusImage, zipkinImage, zipkinJar } from "./images/observe.ts";
import { builtImage, type ImageRecipe } from "./images/recipe.ts";
import { imageStore } from "./images/store.ts";
import { type ImagePart, OFFICIAL_IMAGES, officialImages } from "./official/images.ts";
import { officialIstioctl, officialKubernetes, officialPulumi } from "./official/official.ts";
import { officialOrigin } from "./official/origin.ts";
import { type From, type Part, Parts, Turns } from "./parts.ts";
import { ROOTS, type RootSpec, rootFileSystem } from "./roots.ts";
import { type Step, step } from "./step.ts";
import { linkTools } from "./tools.ts";
import { wheels } from "./wheels/wheels.ts";

/** The directories of all parts. */
export interface Toolchain {
  readonly kubernetes: string;
  readonly pulumi: string;
  readonly nodeRoot: string;
  readonly loadBalancerRoot: string;
  readonly images: ImageNames;
  /** Archives of all images. */
  readonly archives: readonly string[];
  /** containerd's directory with all images in it. */
  readonly imageStore: string;
  /** kubectl, istioctl, pulumi and the tools of the checks, to be put on PATH. */
  readonly tools: string;
  /** Which parts are official artifacts, and which are built. */
  readonly parts: readonly Part[];
}

/** What only some labs need. */
export interface Wanted {
  /** The image of Prometheus. */
  readonly monitoring?: boolean;
  /** The image of Zipkin. */
  readonly tracing?: boolean;
  /** Only official artifacts, or none. @default official where within reach */
  readonly from?: From;
}

/** Makes {@link Toolchain}. One lab does so at a time, because all labs of this user share the cache. */
export async function ensureToolchain(
  runTasks: (tasks: ListrTask[]) => Promise<void>,
  note: (line: string) => void,
  wanted: Wanted = {},
): Promise<Toolchain> {
  const waiting = () => note("waiting for another lab on this host to finish its downloads and builds");
  return withLock(join(cacheHome(), ".lock"), waiting, async () => {
    const { tasks, result } = await toolchainSteps(wanted);
    await runTasks(tasks);
    return result();
  });
}

/** The steps that make the parts, side by side. `result` resolves when all of them have run. */
async function toolchainSteps(
  wanted: Wanted,
): Promise<{ tasks: ListrTask[]; result: () => Promise<Toolchain> }> {
  const origin = await officialOrigin({ anew: wanted.from === "official" });
  const parts = new Parts(wanted.from);
  const { build, root } = makers();

  const kubernetes = step("Kubernetes", async (report) => {
    const official = () => officialKubernetes(origin, report);
    return (await parts.choose("Kubernetes", { official, build: () => build(0, KUBERNETES, report) })).value;
  });
  const istioctl = step("istioctl", async (report) => {
    const official = () => officialIstioctl(origin, report);
    return (await parts.choose("istioctl", { official, build: () => build(1, ISTIO, report) })).value;
  });
  const pulumi = step("Pulumi", async (report) => {
    const official = () => officialPulumi(origin, report);
    return (await parts.choose("Pulumi", { official, build: () => build(3, PULUMI, report) })).value;
  });
  const wheel = step("wheels", wheels);
  const nodeRoot = step("root file system of the nodes", () => root(0, ROOTS.node));
  const loadBalancerRoot = step("root file system of the load balancer", () => root(1, ROOTS.loadBalancer));

  /** A part that is one or two images. */
  const image = (part: string, name: ImagePart, recipes: (report: OnProgress) => Promise<ImageRecipe[]>) =>
    step(`image of ${part}`, async (report) =>
      parts.choose(`image of ${part}`, {
        official: () => officialImages(origin, name, report),
        build: async () => {
          const archives: string[] = [];
          for (const recipe of await recipes(report)) archives.push(await builtImage(recipe));
          return archives;
        },
      }),
    );
  const imagesRoot = () => root(2, ROOTS.images);
  const monitoringRoot = () => root(3, ROOTS.monitoring);
  const pause = image("pause", "pause", async () => [pauseImage(await imagesRoot())]);
  const coredns = image("CoreDNS", "coredns", async (report) => [
    corednsImage(await build(2, COREDNS, report)),
  ]);
  const nginx = image("nginx", "nginx", async () => [nginxImage(await imagesRoot())]);
  const istio = image("Istio", "istio", async (report) => {
    const from = {
      root: await imagesRoot(),
      istio: await build(1, ISTIO, report),
      wheels: await wheel.result,
    };
    return [pilotImage(from), proxyImage(from)];
  });
  const prometheus = image("Prometheus", "prometheus", async (report) => [
    prometheusImage(await monitoringRoot(), await build(4, PROMETHEUS, report)),
  ]);
  const zipkin = image("Zipkin", "zipkin", async () => {
    const java = await monitoringRoot();
    return [zipkinImage({ root: java, busybox: await imagesRoot(), jar: await zipkinJar(java) })];
  });
  const images = [
    ...[pause, coredns, nginx, istio],
    ...(wanted.monitoring ? [prometheus] : []),
    ...(wanted.tracing ? [zipkin] : []),
  ];

  const names = async (): Promise<ImageNames> => ({
    pause: await nameOf(pause, "pause"),
    coredns: await nameOf(coredns, "coredns"),
    nginx: await nameOf(nginx, "nginx"),
    istio: await nameOf(istio, "istio"),
    ...(wanted.monitoring ? { prometheus: await nameOf(prometheus, "prometheus") } : {}),
    ...(wanted.tracing ? { zipkin: await nameOf(zipkin, "zipkin") } : {}),
  });
  const archives = async () =>
    (await Promise.all(images.map(({ result }) => result))).flatMap(({ value }) => value);
  const store = step("images, unpacked", async () =>
    imageStore(
      ["store", wanted.monitoring && "monitoring", wanted.tracing && "tracing"].filter(Boolean).join("-"),
      {
        nodeRoot: await nodeRoot.result,
        archives: await archives(),
        pause: await nameOf(pause, "pause"),
      },
    ),
  );
  const tools = step("tools on PATH", async () =>
    linkTools(
      [
        join(await kubernetes.result, "kubectl"),
        join(await istioctl.result, "istioctl"),
        join(await pulumi.result, "pulumi"),
        join(await wheel.result, "bin", "shellcheck"),
        ...(wanted.monitoring ? [join(await monitoringRoot(), "usr/bin/promtool")] : []),
      ],
      await loadBalancerRoot.result,
    ),
  );
  const steps: Step<unknown>[] = [
    ...[kubernetes, istioctl, ...images, pulumi, wheel, nodeRoot, loadBalancerRoot, store, tools],
  ];
  return {
    tasks: [
      {
        title: "parts",
        task: (_, task) =>
          task.newListr(
            steps.map((each) => each.task),
            { concurrent: true },
          ),
      },
    ],
    result: async () => ({
      kubernetes: await kubernetes.result,
      pulumi: await pulumi.result,
      nodeRoot: await nodeRoot.result,
      loadBalancerRoot: await loadBalancerRoot.result,
      images: await names(),
      archives: await archives(),
      imageStore: await store.result,
      tools: await tools.result,
      parts: parts.list,
    }),
  };
}

/** Makes builds and root file systems on first use, one build and one root at a time. */
function makers() {
  const builds = new Turns();
  const debootstraps = new Turns();
  const made = new Map<string, Promise<string>>();
  const keep = (name: string, make: () => Promise<string>) => {
    const known = made.get(name) ?? make();
    made.set(name, known);
    return known;
  };
  return {
    /** @param rank of the build: those that the machines wait for come first */
    build: (rank: number, module: GoModule, report: OnProgress) =>
      keep(`binaries ${module.name}`, () => builds.take(rank, () => goBinaries(module, report))),
    root: (rank: number, spec: RootSpec) =>
      keep(`root ${spec.name}`, () => debootstraps.take(rank, () => rootFileSystem(spec))),
  };
}

/** The image's official name, or the name of the built image in its place. */
async function nameOf<P extends keyof ImageNames>(
  image: Step<{ official: boolean }>,
  part: P,
): Promise<(typeof BUILT_IMAGES | typeof OFFICIAL_IMAGES)[P]> {
  const { official } = await image.result;
  return official ? OFFICIAL_IMAGES[part] : BUILT_IMAGES[part];
}
