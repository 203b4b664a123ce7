/** Makes the containerd directory that a worker starts with, with all images in it. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run, succeeds, until } from "../../clients/process.ts";
import type { MachineSpec } from "../host/instance.ts";
import { initPid } from "./machine.ts";

/**
 * Copies a containerd directory. Unpacked layers and blobs never change, so hard links share them.
 * containerd's databases are copied.
 */
export async function cloneStore(store: string, target: string): Promise<void> {
  if (existsSync(join(target, "io.containerd.metadata.v1.bolt"))) return;
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  const linked = await run("cp", ["-al", `${store}/.`, target]).then(
    () => true,
    () => false,
  );
  // Hard links do not work where cache and state are on different file systems.
  if (!linked) await run("cp", ["-a", `${store}/.`, target]);
  for (const database of (await run("find", [store, "-name", "*.db", "-printf", "%P\\n"]))
    .split("\n")
    .filter(Boolean)) {
    await rm(join(target, database));
    await run("cp", ["-a", join(store, database), join(target, database)]);
  }
}

/** Imports into a running worker's containerd those of the archives that it lacks. */
export async function importImages(worker: MachineSpec, archives: readonly string[]): Promise<void> {
  const store = join(worker.dir, "data", "containerd");
  const known = await imagesIn(store);
  const missing = archives.filter((archive) => !known.includes(imageKey(archive)));
  if (missing.length === 0) return;
  const ctr = ["nsenter", `--target=${await initPid(worker)}`, "--all", "ctr", "--namespace=k8s.io"];
  const [command = "", ...args] = ctr;
  await until(`containerd of ${worker.name}`, () => succeeds(command, [...args, "version"]));
  for (const archive of missing)
    await run(command, [...args, "images", "import", "-"], { inputFile: archive });
  await noteImages(store, [...known, ...missing.map(imageKey)]);
}

/** Names an archive by its directory in the cache. The directory's name stands for the content. */
export function imageKey(archive: string): string {
  return basename(dirname(archive));
}

/** Records which archives a containerd directory has, by their {@link imageKey}. */
export async function noteImages(store: string, keys: readonly string[]): Promise<void> {
  // The file can be a hard link that other workers share.
  await writeFile(join(store, `${NOTE}.partial`), JSON.stringify(keys));
  await rename(join(store, `${NOTE}.partial`), join(store, NOTE));
}

const NOTE = "lab-images.json";

async function imagesIn(store: string): Promise<string[]> {
  const text = await readFile(join(store, NOTE), "utf8").catch(() => "[]");
  return JSON.parse(text) as string[];
}
