/**
 * The dashboard beside any stack of this project: `node dashboard/main.ts`, in the directory of the program.
 */
import { execa } from "execa";
import { KubernetesApi } from "../clients/kubernetes.ts";
import { readOutputs } from "../outputs.ts";
import { dashboardCommand } from "./command.ts";
import { observedOf } from "./stack.ts";

async function pulumi(...args: string[]): Promise<string> {
  const { failed, code, stdout, stderr } = await execa("pulumi", args, { reject: false });
  if (failed) throw new Error(code === "ENOENT" ? "pulumi is not on PATH" : stderr.trim());
  return stdout.trim();
}

/** A setting of the selected stack; empty where it is not set. */
const setting = (key: string) => pulumi("config", "get", key).catch(() => "");

const program = dashboardCommand({
  async connect() {
    const [kubeconfig, context] = await Promise.all([setting("kubeconfig"), setting("context")]);
    return KubernetesApi.connect({ kubeconfig, context });
  },
  async observed() {
    const outputs = readOutputs(JSON.parse(await pulumi("stack", "output", "--json")));
    if (!outputs) throw new Error("the selected stack has no outputs yet; run `pulumi up` first");
    return observedOf(outputs, outputs.url);
  },
});
try {
  await program.parseAsync();
} catch (error) {
  program.error(`error: ${(error as Error).message}`, { exitCode: 1 });
}
