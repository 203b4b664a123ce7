/** Makes the containerd directory with images in it, from which each worker's directory is copied. */
import { existsSync } from "node:fs";
import { link, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LabError, run } from "../../../clients/process.ts";
import type { MachineSpec } from "../../host/instance.ts";
import { containerdConfig } from "../../machines/containerd.ts";
import { imageKey, noteImages } from "../../machines/containerStore.ts";
import { prepare } from "../../machines/machine.ts";
import { cached } from "../cache/cache.ts";

/** Megabytes for the unpacked archives; measured 0.9 GB without Prometheus and Zipkin. */
const ROOM = 1500;

const MACHINES = join(import.meta.dirname, "../../machines");
const NAMESPACES = ["--mount", "--pid", "--uts", "--ipc", "--net"];

/**
 * Has containerd unpack the images, in a machine that does nothing else.
 *
 * @param name of the cache's entry; a store of other images has another name, and stays
 * @param pause name of the image of sandboxes
 */
export async function imageStore(
  name: string,
  { nodeRoot, archives, pause }: { nodeRoot: string; archives: readonly string[]; pause: string },
): Promise<string> {
  const ingredients = ["2", nodeRoot, pause, ...archives];
  const dir = await cached({ kind: "images", name, ingredients, room: ROOM }, async (into) => {
    const machine: MachineSpec = {
      name: "image-store",
      address: "",
      netns: "",
      link: "",
      cgroup: "",
      dir: into,
    };
    const etc = join(into, "etc");
    const boot = { root: nodeRoot, bin: etc, init: "import-images-init.sh", data: ["containerd"] };
    await prepare(machine, boot);
    await mkdir(join(etc, "images"));
    for (const archive of archives) await link(archive, join(etc, "images", `${imageKey(archive)}.tar`));
    await writeFile(join(etc, "containerd.toml"), containerdConfig(pause));
    await run("unshare", [
      ...[...NAMESPACES, "--fork", "--kill-child", "--propagation", "private"],
      ...[join(MACHINES, "machine.sh"), boot.root, into, machine.name, boot.init],
    ]);
    if (!existsSync(join(into, "run", "imported")))
      throw new LabError(`images were not imported: see ${into}/log`);
    await noteImages(join(into, "data", "containerd"), archives.map(imageKey));
    for (const name of ["etc", "upper", "work", "root", "run", "bin"])
      await rm(join(into, name), { recursive: true });
  });
  return join(dir, "data", "containerd");
}
