/** Reads outputs from a stack's state file, and repairs the file after a killed update. */
import { existsSync } from "node:fs";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Instance } from "../host/instance.ts";

/**
 * Repairs the stack's state after a kill of Pulumi or a crash of the host. It does what `pulumi cancel` and
 * `pulumi refresh --clear-pending-creates` do. It does nothing while another Pulumi runs.
 */
export async function recoverState(lab: Instance): Promise<void> {
  if (await isLocked(lab)) return;
  for (const file of await stateFiles(lab)) await repair(file);
}

/** The plain outputs of the last update; none when the stack is not up. */
export async function savedOutputs(lab: Instance): Promise<Record<string, unknown>> {
  for (const file of await stateFiles(lab)) {
    const state = (await readCheckpoint(file)) ?? (await readCheckpoint(`${file}.bak`));
    const stack = state?.checkpoint.latest?.resources?.find(({ type }) => type === "pulumi:pulumi:Stack");
    if (stack?.outputs) return stack.outputs;
  }
  return {};
}

/** There is one file for each project. */
async function stateFiles(lab: Instance): Promise<string[]> {
  const stacks = join(lab.dir, "pulumi", ".pulumi", "stacks");
  const projects = await readdir(stacks).catch(() => []);
  return projects.map((project) => join(stacks, project, `${lab.name}.json`)).filter(existsSync);
}

async function repair(file: string): Promise<void> {
  const whole = await readCheckpoint(file);
  const checkpoint = whole ?? (await readCheckpoint(`${file}.bak`));
  if (!checkpoint) return;
  const changed = forgetOperations(checkpoint);
  if (changed || !whole) await replaceFile(file, JSON.stringify(checkpoint));
}

/** Whether a running Pulumi has locked the stack. Locks of dead processes are removed. */
async function isLocked(lab: Instance): Promise<boolean> {
  const locks = join(lab.dir, "pulumi", ".pulumi", "locks");
  const entries = await readdir(locks, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".json"));
  const alive = await Promise.all(files.map(({ parentPath, name }) => isAlive(join(parentPath, name))));
  return alive.includes(true);
}

async function isAlive(lock: string): Promise<boolean> {
  const pid = /"pid":\s*(\d+)/.exec(await readFile(lock, "utf8"))?.[1];
  // After a crash of the host another program can have the pid.
  const command = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
  if (command.trim() === "pulumi") return true;
  await rm(lock, { force: true });
  return false;
}

/** The part of the engine's state file that is read here. */
interface Checkpoint {
  checkpoint: {
    latest?: {
      resources?: { type: string; outputs?: Record<string, unknown> }[];
      pending_operations?: unknown[];
    };
  };
}

/** Undefined when the file is missing or truncated. Pulumi keeps the previous one as FILE.bak. */
async function readCheckpoint(file: string): Promise<Checkpoint | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Checkpoint;
  } catch {
    return undefined;
  }
}

/**
 * Removes the operations that a killed Pulumi had begun. The next update repeats them. Otherwise Pulumi would
 * warn of them at each update, and of a create for ever.
 *
 * @returns whether there were any.
 */
function forgetOperations({ checkpoint: { latest } }: Checkpoint): boolean {
  if (!latest?.pending_operations?.length) return false;
  latest.pending_operations = [];
  return true;
}

/** Writes a file whole or not at all. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.partial`, text, { mode: 0o600 });
  await rename(`${file}.partial`, file);
}
