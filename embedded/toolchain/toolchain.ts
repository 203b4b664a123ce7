/** Finds or makes everything that the lab's machines are made of, in a cache that all labs share. */
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ListrTask } from "listr2";
import { withLock } from "../host/lock.ts";
import { cacheHome } from "../instance.ts";
import { goBinaries } from "./go/go.ts";
import { COREDNS, type GoModule, ISTIO, KUBERNETES, PULUMI } from "./go/modules.ts";
import { corednsImage, nginxImage, pauseImage, pilotImage, proxyImage } from "./images/images.ts";
import { BUILT_IMAGES, type ImageNames } from "./images/names.ts";
import { prometheusImage, zipkinImage, zipkinJar } from "./images/observe.ts";
import { builtImage, type ImageRecipe } from "./images/recipe.ts";
import { imageStore } from "./images/store.ts";
import { ROOTS, rootFileSystem } from "./roots.ts";
import { type Step, step } from "./step.ts";
import { wheels } from "./wheels/wheels.ts";

/** Directories of everything that machines are made of. */
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
}

/** What only some labs need. */
export interface Wanted {
  /** The image of Prometheus. */
  readonly monitoring?: boolean;
  /** The image of Zipkin. */
  readonly tracing?: boolean;
}

/** Makes {@link Toolchain}, one lab at a time: the cache is shared by all labs of this user. */
export async function ensureToolchain(
  runTasks: (tasks: ListrTask[]) => Promise<void>,
  note: (line: string) => void,
  wanted: Wanted = {},
): Promise<Toolchain> {
  const waiting = () => note("waiting for another lab on this host to finish its downloads and builds");
  return withLock(join(cacheHome(), ".lock"), waiting, async () => {
    const { tasks, result } = toolchainSteps(wanted);
    await runTasks(tasks);
    return result();
  });
}

/** The list of what is found or made; long where it is new. `result` is there when all tasks have run. */
function toolchainSteps(wanted: Wanted): { tasks: ListrTask[]; result: () => Promise<Toolchain> } {
  const kubernetes = binaries(KUBERNETES);
  const istio = binaries(ISTIO);
  const coredns = binaries(COREDNS);
  const pulumi = binaries(PULUMI);
  const wheel = step("wheels", wheels);
  const nodeRoot = step("root file system of the nodes", () => rootFileSystem(ROOTS.node));
  const loadBalancerRoot = step("root file system of the load balancer", () =>
    rootFileSystem(ROOTS.loadBalancer),
  );
  const imagesRoot = step("root file system for images", () => rootFileSystem(ROOTS.images));
  const monitoringRoot = step("root file system for monitoring", () => rootFileSystem(ROOTS.monitoring));
  const needsMonitoringRoot = wanted.monitoring || wanted.tracing;
  const images = step("container images", async () => {
    const root = await imagesRoot.result;
    const from = { root, istio: await istio.result, wheels: await wheel.result };
    const recipes = [
      pauseImage(root),
      corednsImage(await coredns.result),
      nginxImage(root),
      pilotImage(from),
      proxyImage(from),
      ...(wanted.monitoring ? [prometheusImage(await monitoringRoot.result)] : []),
      ...(wanted.tracing ? [await zipkin(await monitoringRoot.result, root)] : []),
    ];
    const archives: string[] = [];
    for (const recipe of recipes) archives.push(await builtImage(recipe));
    const name = [
      "store",
      ...(wanted.monitoring ? ["monitoring"] : []),
      ...(wanted.tracing ? ["tracing"] : []),
    ];
    const pause = BUILT_IMAGES.pause;
    const store = await imageStore(name.join("-"), { nodeRoot: await nodeRoot.result, archives, pause });
    return { archives, store };
  });
  const tools = step("tools on PATH", async () =>
    linkTools(
      [
        join(await kubernetes.result, "kubectl"),
        join(await istio.result, "istioctl"),
        join(await pulumi.result, "pulumi"),
        join(await wheel.result, "bin", "shellcheck"),
      ],
      await loadBalancerRoot.result,
    ),
  );
  const made = group(
    "binaries and root file systems",
    [
      group("binaries, built from Go modules", [kubernetes.task, istio.task, coredns.task, pulumi.task]),
      group("Debian root file systems and wheels", [
        ...[wheel.task, nodeRoot.task, loadBalancerRoot.task, imagesRoot.task],
        ...(needsMonitoringRoot ? [monitoringRoot.task] : []),
      ]),
    ],
    { concurrent: true },
  );
  return {
    tasks: [made, images.task, tools.task],
    result: async () => ({
      kubernetes: await kubernetes.result,
      pulumi: await pulumi.result,
      nodeRoot: await nodeRoot.result,
      loadBalancerRoot: await loadBalancerRoot.result,
      images: BUILT_IMAGES,
      archives: (await images.result).archives,
      imageStore: (await images.result).store,
      tools: await tools.result,
    }),
  };
}

async function zipkin(root: string, busybox: string): Promise<ImageRecipe> {
  return zipkinImage({ root, busybox, jar: await zipkinJar(root) });
}

function binaries(module: GoModule): Step<string> {
  return step(`binaries of ${module.name}`, (report) => goBinaries(module, report));
}

function group(title: string, tasks: ListrTask[], { concurrent = false } = {}): ListrTask {
  return { title, task: (_, task) => task.newListr(tasks, { concurrent }) };
}

/** A directory for PATH: links to these programs, and the load balancer's own HAProxy for the checks. */
async function linkTools(programs: readonly string[], loadBalancerRoot: string): Promise<string> {
  const tools = join(cacheHome(), "tools");
  await mkdir(tools, { recursive: true });
  for (const program of programs) {
    const link = join(tools, basename(program));
    await rm(link, { force: true });
    await symlink(program, link);
  }
  const haproxy = join(import.meta.dirname, "haproxy.sh");
  await writeFile(join(tools, "haproxy"), `#!/bin/sh\nexec '${haproxy}' '${loadBalancerRoot}' "$@"\n`, {
    mode: 0o755,
  });
  return tools;
}
