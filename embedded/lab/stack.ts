import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { LabError, launch } from "../../clients/process.ts";
import { type Outputs, pageAt, readOutputs } from "../../outputs.ts";
import type { ProbeDefaults } from "../../probe/command.ts";
import { cacheHome, type Instance } from "../instance.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";
import { hostKey, SSH_USER, sshKeyFile } from "../machines/loadBalancer.ts";
import { NGINX_IMAGES } from "../toolchain/images/images.ts";
import { IMAGE_HUB, ISTIO_VERSION } from "../versions.ts";
import { httpsFiles } from "./certificate.ts";
import { pluginPath, pulumiHome } from "./plugins.ts";

/** The program's directory: the one with Pulumi.yaml. */
export const PROGRAM = join(import.meta.dirname, "../..");

/** Directory of kubectl, istioctl and pulumi. */
function toolsDir(): string {
  return join(cacheHome(), "tools");
}

/** The file of the instance's stack beside Pulumi.dev.yaml. Git does not track it. */
export function stackFile(lab: Instance): string {
  return join(PROGRAM, `Pulumi.${lab.name}.yaml`);
}

/** What a shell needs to use the lab's cluster and stack with the ordinary tools. */
export function labEnvironment(lab: Instance): Record<string, string | undefined> {
  const backend = join(lab.dir, "pulumi");
  const path = [pluginPath(lab), toolsDir(), dirname(process.execPath), process.env.PATH ?? ""];
  return {
    PATH: path.join(delimiter),
    KUBECONFIG: adminKubeconfig(lab),
    PULUMI_HOME: pulumiHome(lab),
    // No file of metadata beside each file of state: a kill between the two leaves it empty, and Pulumi then reads neither.
    PULUMI_BACKEND_URL: `file://${backend}?metadata=skip`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile(lab),
    // The user's own would come before the file.
    PULUMI_CONFIG_PASSPHRASE: undefined,
    PULUMI_STACK: lab.name,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    // The plugins are those in PULUMI_HOME; the engine would prefer others on PATH, and warn of each.
    PULUMI_IGNORE_AMBIENT_PLUGINS: "true",
    // Node keeps compiled modules there, of the program and of the plugins.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(cacheHome(), "node-compile-cache"),
  };
}

/** Makes the instance's stack with the settings of its machines. Settings that the user changed stay. */
export async function initStack(lab: Instance): Promise<void> {
  const ready = join(lab.dir, "stack.ready");
  if (existsSync(ready) && existsSync(stackFile(lab))) return;
  await mkdir(join(lab.dir, "pulumi"), { recursive: true });
  if (!existsSync(passphraseFile(lab))) {
    await writeFile(passphraseFile(lab), randomBytes(24).toString("base64url"), { mode: 0o600 });
  }
  // A file that is left from a lab of this name belongs to a passphrase that is gone.
  await rm(stackFile(lab), { force: true });
  await pulumi(lab, ["stack", "select", "--create", lab.name]);
  const settings = Object.entries(await machineSettings(lab)).flatMap(([key, value]) => [
    "--plaintext",
    `${key}=${value}`,
  ]);
  await pulumi(lab, ["config", "set-all", "--path", ...settings]);
  const secrets = { loadBalancerPrivateKey: sshKeyFile(lab), tlsKey: httpsFiles(lab).key };
  for (const [name, file] of Object.entries(secrets)) {
    await pulumi(lab, ["config", "set", "--secret", name], { input: await readFile(file, "utf8") });
  }
  await writeFile(ready, "");
}

/** Runs Pulumi on the instance's stack and returns its standard output. */
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
 * Runs Pulumi on the user's terminal, all it prints going to standard error.
 *
 * @throws LabError with Pulumi's exit code when it fails; Pulumi has then said why.
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

/** The stack's outputs after its last update, or undefined when it is not up. */
export async function stackOutputs(lab: Instance): Promise<Outputs | undefined> {
  if (!existsSync(stackFile(lab))) return undefined;
  return readOutputs(await pulumi(lab, ["stack", "output", "--json"]));
}

/** The page at the lab's load balancer, with the authority that signed the lab's certificate. */
export async function pageOf(lab: Instance, outputs: Outputs): Promise<ProbeDefaults> {
  const ca = await readFile(httpsFiles(lab).authority, "utf8");
  return { ...pageAt(lab.loadBalancer.address, outputs), ca };
}

/**
 * Puts the stack's state in order after a Pulumi that was killed, or a crash of the host: what `pulumi cancel` and
 * `pulumi refresh --clear-pending-creates` are for. Does nothing while another Pulumi is at work.
 */
export async function recoverState(lab: Instance): Promise<void> {
  if (await isLocked(lab)) return;
  const { parse } = await import("yaml");
  const { name } = parse(await readFile(join(PROGRAM, "Pulumi.yaml"), "utf8")) as { name: string };
  const file = join(lab.dir, "pulumi", ".pulumi", "stacks", name, `${lab.name}.json`);
  if (!existsSync(file)) return;
  const whole = await readCheckpoint(file);
  const checkpoint = whole ?? (await readCheckpoint(`${file}.bak`));
  if (!checkpoint) return;
  const changed = forgetOperations(checkpoint);
  if (changed || !whole) await replaceFile(file, JSON.stringify(checkpoint));
}

/** Whether a Pulumi that lives holds the stack; locks of those that were killed are let go. */
async function isLocked(lab: Instance): Promise<boolean> {
  const locks = join(lab.dir, "pulumi", ".pulumi", "locks");
  const entries = await readdir(locks, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".json"));
  const held = await Promise.all(files.map(({ parentPath, name }) => isHeld(join(parentPath, name))));
  return held.includes(true);
}

async function isHeld(lock: string): Promise<boolean> {
  const pid = /"pid":\s*(\d+)/.exec(await readFile(lock, "utf8"))?.[1];
  // After a crash of the host the number may be another program's.
  const holder = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
  if (holder.trim() === "pulumi") return true;
  await rm(lock, { force: true });
  return false;
}

/** The stack's state as the engine keeps it in a file, the part that is looked at here. */
interface Checkpoint {
  checkpoint: { latest?: { pending_operations?: unknown[] } };
}

/** Undefined when there is none, or half of one. Pulumi keeps the one of before beside it, as FILE.bak. */
async function readCheckpoint(file: string): Promise<Checkpoint | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Checkpoint;
  } catch {
    return undefined;
  }
}

/**
 * What was under way when Pulumi was killed, the next update does again over what it finds; Pulumi itself would warn of
 * it, and of what was being made for ever.
 *
 * @returns whether there was any.
 */
function forgetOperations({ checkpoint: { latest } }: Checkpoint): boolean {
  if (!latest?.pending_operations?.length) return false;
  latest.pending_operations = [];
  return true;
}

/** Whole or not at all. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.partial`, text, { mode: 0o600 });
  await rename(`${file}.partial`, file);
}

/** What the program has to know of this lab's machines and images. */
async function machineSettings(lab: Instance): Promise<Record<string, string>> {
  return {
    kubeconfig: adminKubeconfig(lab),
    "loadBalancer.host": lab.loadBalancer.address,
    "loadBalancer.user": SSH_USER,
    "loadBalancer.hostKey": await hostKey(lab),
    // Not in use before the user sets tls.mode.
    tlsCertificate: await readFile(httpsFiles(lab).certificate, "utf8"),
    "istio.version": ISTIO_VERSION,
    "istio.profile": "demo",
    "istio.hub": `docker.io/${IMAGE_HUB}`,
    "istio.tag": ISTIO_VERSION,
    // The plain build of Envoy lacks the filters that Istio's telemetry configures.
    "istio.values.telemetry.enabled": "false",
    "versions[0].name": "v116",
    "versions[0].version": "1.16",
    "versions[0].image": NGINX_IMAGES.v116,
    "versions[1].name": "v117",
    "versions[1].version": "1.17",
    "versions[1].image": NGINX_IMAGES.v117,
    "weights.v116": "50",
    "weights.v117": "50",
  };
}

function passphraseFile(lab: Instance): string {
  return join(lab.dir, "passphrase");
}
