/** Reads the Pulumi stack that is selected in a directory, for the probe, a shift and the benchmark. */
import { execa } from "execa";
import type { Selection } from "../clients/kubernetes.ts";
import { type Outputs, type Page, pageAt, readOutputs } from "../outputs.ts";

export interface SelectedStack {
  readonly outputs: Outputs;
  /** Settings by name, without the project's prefix. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The page at the load balancer's address. */
  readonly page: Page;
  /** The cluster. */
  readonly cluster: Selection;
}

/** There is no usable stack. The message is pulumi's, or names the command to run. */
export class NoStack extends Error {}

/**
 * Reads the stack's outputs and settings.
 *
 * @param options.secrets show secret settings too. @default false
 * @throws NoStack
 */
export async function selectedStack(cwd: string, { secrets = false } = {}): Promise<SelectedStack> {
  const [printed, settings] = await Promise.all([
    pulumi(cwd, "stack", "output", "--json"),
    pulumi(cwd, "config", "--json", ...(secrets ? ["--show-secrets"] : [])),
  ]);
  const outputs = readOutputs(JSON.parse(printed));
  if (!outputs) throw new NoStack("the selected stack has no outputs yet; run `pulumi up` first");
  const config = readConfig(settings);
  const { host, local } = (config.loadBalancer ?? {}) as { host?: string; local?: boolean };
  const address = host ?? (local ? "127.0.0.1" : outputs.host);
  const { kubeconfig, context } = config as Selection;
  return { outputs, config, page: pageAt(address, outputs), cluster: { kubeconfig, context } };
}

/** Runs pulumi and returns its standard output. @throws NoStack with what it printed, when it fails */
export async function pulumi(cwd: string, ...args: string[]): Promise<string> {
  const { failed, code, stdout, stderr } = await execa("pulumi", args, { cwd, reject: false });
  if (failed) throw new NoStack(code === "ENOENT" ? "no pulumi on PATH" : stderr.trim());
  return stdout;
}

function readConfig(json: string): Record<string, unknown> {
  const raw = JSON.parse(json) as Record<string, { value?: string; objectValue?: unknown }>;
  return Object.fromEntries(
    Object.entries(raw).map(([key, { value, objectValue }]) => [
      key.slice(key.indexOf(":") + 1),
      objectValue ?? value,
    ]),
  );
}
