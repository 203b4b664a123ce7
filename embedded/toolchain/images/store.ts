/** The containerd directory with all images in it, from which each worker's directory is copied. */
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LabError, run } from "../../../clients/process.ts";
import type { MachineSpec } from "../../instance.ts";
import { containerdConfig } from "../../machines/containerd.ts";
import { prepare } from "../../machines/machine.ts";
import { cached, contentOf } from "../cache/cache.ts";
import { RECIPE, type Sources, writeImages } from "./images.ts";

/** Megabytes for the archives and what is unpacked of them; measured 1.3 GB. */
const ROOM = 1500;

const MACHINES = join(import.meta.dirname, "../../machines");
const NAMESPACES = ["--mount", "--pid", "--uts", "--ipc", "--net"];

/** Makes all images and has containerd unpack them, in a machine that does nothing else. */
export async function imageStore(nodeRoot: string, sources: Sources): Promise<string> {
  const ingredients = [await contentOf(...RECIPE), nodeRoot, ...Object.values(sources)];
  const dir = await cached({ kind: "images", name: "store", ingredients, room: ROOM }, async (into) => {
    const machine: MachineSpec = {
      name: "image-store",
      address: "",
      netns: "",
      link: "",
      cgroup: "",
      dir: into,
    };
    const boot = {
      root: nodeRoot,
      bin: sources.coredns,
      init: "import-images-init.sh",
      data: ["containerd"],
    };
    await prepare(machine, boot);
    await mkdir(join(into, "etc", "images"));
    await writeImages(join(into, "etc", "images"), sources);
    await writeFile(join(into, "etc", "containerd.toml"), containerdConfig());
    await run("unshare", [
      ...[...NAMESPACES, "--fork", "--kill-child", "--propagation", "private"],
      ...[join(MACHINES, "machine.sh"), boot.root, into, machine.name, boot.init],
    ]);
    if (!existsSync(join(into, "run", "imported")))
      throw new LabError(`images were not imported: see ${into}/log`);
    for (const name of ["etc", "upper", "work", "root", "run", "bin"])
      await rm(join(into, name), { recursive: true });
  });
  return join(dir, "data", "containerd");
}
