import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ListrTask } from "listr2";
import { withLock } from "../host/lock.ts";
import { throttled } from "../host/progress.ts";
import { cacheHome } from "../instance.ts";
import { goBinaries, wheels } from "./binaries.ts";
import { imageStore } from "./images/store.ts";
import { rootFileSystem } from "./roots.ts";
import { GO_MODULES, ROOTS } from "./versions.ts";

const HERE = import.meta.dirname;

/** Directories of everything that machines are made of. */
export interface Toolchain {
  readonly kubernetes: string;
  readonly istio: string;
  readonly coredns: string;
  readonly pulumi: string;
  readonly wheels: string;
  readonly nodeRoot: string;
  readonly loadBalancerRoot: string;
  /** containerd's directory with all images in it. */
  readonly imageStore: string;
  /** kubectl, istioctl, pulumi and the tools of the checks, to be put on PATH. */
  readonly tools: string;
}

type Found = { -readonly [K in keyof Toolchain]?: string } & { imagesRoot?: string };

/** Finds or makes all parts; long where they are new. The tasks fill what `complete` then returns. */
export function toolchainTasks(): { tasks: ListrTask[]; complete: () => Toolchain } {
  const found: Found = {};
  const go: ListrTask[] = GO_MODULES.map((module) => ({
    title: `binaries of ${module.name}`,
    task: async (_, task) => {
      const report = throttled((line) => {
        task.output = line;
      });
      found[module.name as "kubernetes"] = await goBinaries(module, report);
    },
  }));
  const debian: ListrTask[] = [
    {
      title: "wheels",
      task: async () => {
        found.wheels = await wheels();
      },
    },
    {
      title: "root file system of the nodes",
      task: async () => {
        found.nodeRoot = await rootFileSystem(ROOTS.node);
      },
    },
    {
      title: "root file system of the load balancer",
      task: async () => {
        found.loadBalancerRoot = await rootFileSystem(ROOTS.loadBalancer);
      },
    },
    {
      title: "root file system for images",
      task: async () => {
        found.imagesRoot = await rootFileSystem(ROOTS.images);
      },
    },
  ];
  const tasks: ListrTask[] = [
    {
      title: "binaries and root file systems",
      task: (_, task) =>
        task.newListr(
          [
            {
              title: "binaries, built from Go modules",
              task: (_c, t) => t.newListr(go, { concurrent: false }),
            },
            {
              title: "Debian root file systems and wheels",
              task: (_c, t) => t.newListr(debian, { concurrent: false }),
            },
          ],
          { concurrent: true },
        ),
    },
    {
      title: "container images",
      task: async () => {
        const { imagesRoot: root = "", nodeRoot = "", coredns = "", istio = "", wheels: wheel = "" } = found;
        found.imageStore = await imageStore(nodeRoot, { root, coredns, istio, wheels: wheel });
      },
    },
    {
      title: "tools on PATH",
      task: async () => {
        found.tools = await linkTools(found);
      },
    },
  ];
  return { tasks, complete: () => found as Toolchain };
}

/** Makes {@link Toolchain}, one lab at a time: the cache is shared by all labs of this user. */
export async function ensureToolchain(
  runTasks: (tasks: ListrTask[]) => Promise<void>,
  note: (line: string) => void,
): Promise<Toolchain> {
  const waiting = () => note("waiting for another lab on this host to finish its downloads and builds");
  return withLock(join(cacheHome(), ".lock"), waiting, async () => {
    const { tasks, complete } = toolchainTasks();
    await runTasks(tasks);
    return complete();
  });
}

async function linkTools({
  kubernetes = "",
  istio = "",
  pulumi = "",
  wheels: wheel = "",
  loadBalancerRoot = "",
}: Found): Promise<string> {
  const tools = join(cacheHome(), "tools");
  await mkdir(tools, { recursive: true });
  const programs = [
    join(kubernetes, "kubectl"),
    join(istio, "istioctl"),
    join(pulumi, "pulumi"),
    join(wheel, "bin", "shellcheck"),
  ];
  for (const program of programs) {
    const link = join(tools, basename(program));
    await rm(link, { force: true });
    await symlink(program, link);
  }
  // The checks want the HAProxy that the load balancer runs, on a host that has none of its own.
  const haproxy = join(tools, "haproxy");
  await writeFile(haproxy, `#!/bin/sh\nexec '${join(HERE, "haproxy.sh")}' '${loadBalancerRoot}' "$@"\n`, {
    mode: 0o755,
  });
  return tools;
}
