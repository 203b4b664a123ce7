/** `./lab kubeconfig`: prints the lab's kubeconfig, or merges it into the user's own. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { execa } from "execa";
import { cacheHome } from "../host/instance.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";
import type { Context } from "./context.ts";

export function kubeconfigCommand(context: Context): Command {
  return new Command("kubeconfig")
    .description("print the lab's kubeconfig")
    .option("--merge", "merge it into ~/.kube/config instead, under the context istio-lab-NAME")
    .action(async ({ merge }: { merge?: true }) => {
      const lab = await context.running();
      if (!merge) {
        process.stdout.write(await readFile(adminKubeconfig(lab), "utf8"));
        return;
      }
      const file = await mergeInto(adminKubeconfig(lab));
      console.error(`lab: merged into ${file}; use it with: kubectl --context istio-lab-${lab.name}`);
    });
}

/**
 * Merges a kubeconfig into the user's own. The user's current context stays.
 *
 * @returns the path of the user's file.
 */
export async function mergeInto(
  kubeconfig: string,
  target = join(homedir(), ".kube", "config"),
): Promise<string> {
  const kubectl = join(cacheHome(), "tools", "kubectl");
  // kubectl takes an entry from the first file that has it. The lab's file comes first, so that a recreated
  // lab replaces its old entry.
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
