/** Finds secrets in files, output and command lines. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A secret, and every form in which a search looks for it. */
export interface Secret {
  readonly name: string;
  readonly shapes: readonly string[];
}

/**
 * Plain, in base64, escaped as in JSON. Also each line that is long enough, except those at the beginning of
 * every OpenSSH key.
 */
export function secret(name: string, text: string): Secret {
  const lines = text
    .split("\n")
    .filter((line) => line.length >= 12 && !/^(-----|b3BlbnNzaC1rZXkt)/.test(line));
  const wholes = [text, text.trimEnd()].flatMap((whole) => [
    whole,
    Buffer.from(whole).toString("base64").replace(/=+$/, ""),
    JSON.stringify(whole).slice(1, -1),
  ]);
  return { name, shapes: [...new Set([...wholes, ...lines])] };
}

/** Names of the secrets that a text contains, whole or in part. */
export function foundIn(text: string, secrets: readonly Secret[]): string[] {
  return secrets.filter(({ shapes }) => shapes.some((shape) => text.includes(shape))).map(({ name }) => name);
}

/** All files below a directory, one after the other. */
export async function allFilesBelow(directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const texts = await Promise.all(
    files.map(({ parentPath, name }) => readFile(join(parentPath, name), "latin1")),
  );
  return texts.join("\n");
}

/** A new process is read when a shell has become the program that it starts. */
const LOOKS = 12;

/**
 * Command lines of all processes of the host and of the lab's machines, each once. Every few milliseconds it
 * reads those of new processes only, so as not to slow down the host.
 */
export async function duringProcesses(action: () => Promise<unknown>): Promise<string> {
  const lines = new Set<string>();
  const looks = new Map<string, number>();
  let over = false;
  const done = action().finally(() => {
    over = true;
  });
  while (!over) {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
    const fresh = pids.filter((pid) => (looks.get(pid) ?? 0) < LOOKS);
    for (const line of await Promise.all(fresh.map(commandLine))) lines.add(line);
    for (const pid of looks.keys()) if (!pids.includes(pid)) looks.delete(pid);
    for (const pid of fresh) looks.set(pid, (looks.get(pid) ?? 0) + 1);
    await delay(5);
  }
  await done;
  return [...lines].join("\n");
}

// A process can have ended since.
const commandLine = (pid: string) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
