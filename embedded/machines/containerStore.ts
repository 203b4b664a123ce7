/** The containerd directory that a worker starts with: all images are in it already. */
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../clients/process.ts";

/**
 * Copies a containerd directory. Layers and blobs never change once they are unpacked, so they are shared by
 * hard links; containerd's databases are copied.
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
