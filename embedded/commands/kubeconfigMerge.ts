import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { cacheHome } from "../instance.ts";

/** Merges a kubeconfig into the user's own, which keeps its current context, and returns that file. */
export async function mergeInto(
  kubeconfig: string,
  target = join(homedir(), ".kube", "config"),
): Promise<string> {
  const kubectl = join(cacheHome(), "tools", "kubectl");
  // The first file that names a thing wins: the lab's, so that a lab made anew replaces its older self.
  const own = existsSync(target) ? [target] : [];
  const { stdout } = await execa(kubectl, ["config", "view", "--flatten"], {
    env: { KUBECONFIG: [kubeconfig, ...own].join(":") },
  });
  const context = existsSync(target) ? await currentContext(kubectl, target) : undefined;
  await mkdir(dirname(target), { recursive: true });
  const partial = `${target}.istio-lab`;
  await writeFile(partial, `${stdout}\n`, { mode: 0o600 });
  if (context) await execa(kubectl, ["config", "use-context", context, "--kubeconfig", partial]);
  await rename(partial, target);
  return target;
}

async function currentContext(kubectl: string, file: string): Promise<string | undefined> {
  const { stdout } = await execa(kubectl, ["config", "current-context", "--kubeconfig", file], {
    reject: false,
  });
  return stdout || undefined;
}
