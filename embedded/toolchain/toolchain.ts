/** Finds, downloads or builds the parts of the lab's machines, in a cache that all labs share. */
import { join } from "node:path";
import type { ListrTask } from "listr2";
import { cacheHome } from "../host/instance.ts";
import { withLock } from "../host/lock.ts";
import { type GoModule, ISTIO, KUBERNETES, PULUMI } from "./go/modules.ts";
import { imageSteps, monitoringRoot } from "./imageSteps.ts";
import type { ImageNames } from "./images/names.ts";
import { imageStore } from "./images/store.ts";
import { makers } from "./makers.ts";
import { officialIstioctl, officialKubernetes, officialPulumi } from "./official/official.ts";
import { officialOrigin } from "./official/origin.ts";
import { type From, type Part, Parts } from "./parts.ts";
import { ROOTS } from "./roots.ts";
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
  const make = makers();

  const binaries = (
    title: string,
    { rank, module, official }: { rank: number; module: GoModule; official: typeof officialKubernetes },
  ) =>
    step(title, async (report) => {
      const build = () => make.build(rank, module, report);
      return (await parts.choose(title, { official: () => official(origin, report), build })).value;
    });
  const kubernetes = binaries("Kubernetes", { rank: 0, module: KUBERNETES, official: officialKubernetes });
  const istioctl = binaries("istioctl", { rank: 1, module: ISTIO, official: officialIstioctl });
  const pulumi = binaries("Pulumi", { rank: 3, module: PULUMI, official: officialPulumi });
  const wheel = step("wheels", wheels);
  const nodeRoot = step("root file system of the nodes", () => make.root(0, ROOTS.node));
  const loadBalancerRoot = step("root file system of the load balancer", () =>
    make.root(1, ROOTS.loadBalancer),
  );
  const images = imageSteps({ origin, parts, make, wheels: wheel.result, wanted });
  const store = step("images, unpacked", async () =>
    imageStore(
      ["store", wanted.monitoring && "monitoring", wanted.tracing && "tracing"].filter(Boolean).join("-"),
      {
        nodeRoot: await nodeRoot.result,
        archives: await images.archives(),
        pause: (await images.names()).pause,
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
        ...(wanted.monitoring ? [join(await monitoringRoot(make), "usr/bin/promtool")] : []),
      ],
      await loadBalancerRoot.result,
    ),
  );
  return {
    tasks: sideBySide([
      ...[kubernetes, istioctl, ...images.steps, pulumi, wheel, nodeRoot, loadBalancerRoot, store, tools],
    ]),
    result: async () => ({
      kubernetes: await kubernetes.result,
      pulumi: await pulumi.result,
      nodeRoot: await nodeRoot.result,
      loadBalancerRoot: await loadBalancerRoot.result,
      images: await images.names(),
      archives: await images.archives(),
      imageStore: await store.result,
      tools: await tools.result,
      parts: parts.list,
    }),
  };
}

function sideBySide(steps: readonly Step<unknown>[]): ListrTask[] {
  const tasks = steps.map(({ task }) => task);
  return [{ title: "parts", task: (_, task) => task.newListr(tasks, { concurrent: true }) }];
}
