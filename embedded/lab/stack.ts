/** Runs Pulumi on the lab's stack: the environment, commands and outputs. */
import { readFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { type ConnectOptions, KubernetesApi } from "../../clients/kubernetes.ts";
import { LabError, launch } from "../../clients/process.ts";
import { type Outputs, pageAt, readOutputs } from "../../outputs.ts";
import type { ProbeDefaults } from "../../probe/command.ts";
import { cacheHome, type Instance, upCommand } from "../host/instance.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";
import { httpsFiles } from "./certificate.ts";
import { pluginPath, pulumiHome } from "./pluginHome.ts";
import { recoverState, savedOutputs } from "./stackState.ts";

/** The program's directory: the one with Pulumi.yaml. */
export const PROGRAM = join(import.meta.dirname, "../..");

/** Directory of kubectl, istioctl and pulumi. */
function toolsDir(): string {
  return join(cacheHome(), "tools");
}

/** Puts kubectl and the other tools of the lab on this process's own PATH. */
export function useLabTools(lab: Instance): void {
  process.env.PATH = labEnvironment(lab).PATH;
}

/** A client of the lab's cluster; it runs the lab's own kubectl. @throws KubectlError */
export function connectToCluster(lab: Instance, options: ConnectOptions = {}): Promise<KubernetesApi> {
  useLabTools(lab);
  return KubernetesApi.connect({ kubeconfig: adminKubeconfig(lab) }, options);
}

/** The settings of the lab's stack, beside Pulumi.dev.yaml. Git does not track the file. */
export function stackFile(lab: Instance): string {
  return join(PROGRAM, `Pulumi.${lab.name}.yaml`);
}

/**
 * The environment in which ordinary tools work on the lab's cluster and stack; undefined unsets a variable.
 */
export function labEnvironment(lab: Instance): Record<string, string | undefined> {
  const backend = join(lab.dir, "pulumi");
  const path = [pluginPath(lab), toolsDir(), dirname(process.execPath), process.env.PATH ?? ""];
  return {
    PATH: path.join(delimiter),
    KUBECONFIG: adminKubeconfig(lab),
    PULUMI_HOME: pulumiHome(lab),
    // No metadata file beside the state file: a kill between the two writes leaves it empty, and Pulumi then
    // reads neither.
    PULUMI_BACKEND_URL: `file://${backend}?metadata=skip`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile(lab),
    // The user's own passphrase would take precedence over the file.
    PULUMI_CONFIG_PASSPHRASE: undefined,
    PULUMI_STACK: lab.name,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    // The engine uses the plugins in PULUMI_HOME. It would prefer others on PATH, and warn of each.
    PULUMI_IGNORE_AMBIENT_PLUGINS: "true",
    // Node's cache of compiled modules, for the program and the plugins.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(cacheHome(), "node-compile-cache"),
  };
}

/**
 * Runs Pulumi on the lab's stack and returns its standard output.
 *
 * @throws LabError with what Pulumi printed, when it fails.
 */
export async function pulumi(
  lab: Instance,
  args: readonly string[],
  options: { input?: string } = {},
): Promise<string> {
  const result = await launch("pulumi", [...args, "--non-interactive"], {
    cwd: PROGRAM,
    env: labEnvironment(lab),
    all: true,
    ...options,
  });
  if (result.failed)
    throw new LabError(`pulumi ${args[0]} ${args[1] ?? ""}: ${result.all.trim()}`, result.exitCode);
  return result.stdout;
}

/**
 * Runs Pulumi on the user's terminal; everything that it prints goes to standard error.
 *
 * @throws LabError with Pulumi's exit code when it fails; Pulumi has printed why.
 */
export async function pulumiOnTerminal(lab: Instance, args: readonly string[]): Promise<void> {
  await recoverState(lab);
  const result = await launch("pulumi", args, {
    cwd: PROGRAM,
    env: labEnvironment(lab),
    stdin: "ignore",
    stdout: process.stderr,
    stderr: "inherit",
  });
  if (result.failed)
    throw new LabError(`pulumi ${args[0]} ended with exit code ${result.exitCode}`, result.exitCode ?? 255);
}

/**
 * The stack's outputs after its last update, or undefined when it is not up. They come from the state file,
 * because `pulumi stack output` would delay each command by half a second.
 */
export async function stackOutputs(lab: Instance): Promise<Outputs | undefined> {
  return readOutputs(await savedOutputs(lab));
}

/** @throws LabError when the stack is not up. */
export async function requireOutputs(lab: Instance): Promise<Outputs> {
  const outputs = await stackOutputs(lab);
  if (!outputs)
    throw new LabError(`the stack of lab "${lab.name}" is not up; start it with: ${upCommand(lab)}`);
  return outputs;
}

/** The page at the lab's load balancer, and the authority of the lab's certificate. */
export async function pageOf(lab: Instance, outputs: Outputs): Promise<ProbeDefaults> {
  const ca = await readFile(httpsFiles(lab).authority, "utf8");
  return { ...pageAt(lab.loadBalancer.address, outputs), ca };
}

/** The passphrase that encrypts the stack's secrets. */
export function passphraseFile(lab: Instance): string {
  return join(lab.dir, "passphrase");
}
