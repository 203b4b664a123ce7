/** Makes the directory of programs that the lab's commands and checks put on PATH. */
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { cacheHome } from "../host/instance.ts";

/**
 * Makes a directory for PATH: links to these programs, and the load balancer's HAProxy for the checks. Each
 * is replaced by a rename, because other checkouts use it meanwhile. None leads into a checkout.
 */
export async function linkTools(programs: readonly string[], loadBalancerRoot: string): Promise<string> {
  const tools = join(cacheHome(), "tools");
  const staged = join(cacheHome(), ".tools.partial");
  await rm(staged, { recursive: true, force: true });
  await mkdir(tools, { recursive: true });
  await mkdir(staged);
  for (const program of programs) await symlink(program, join(staged, basename(program)));
  const script = await readFile(join(import.meta.dirname, "haproxy.sh"), "utf8");
  const haproxy = script.replace(/^root=.*$/m, `root='${loadBalancerRoot}'`);
  await writeFile(join(staged, "haproxy"), haproxy, { mode: 0o755 });
  for (const name of await readdir(staged)) await rename(join(staged, name), join(tools, name));
  await rm(staged, { recursive: true });
  return tools;
}
