/** Finds secrets in files, output and command lines. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A secret, and every shape of it that a search has to know. */
export interface Secret {
  readonly name: string;
  readonly shapes: readonly string[];
}

/**
 * As it stands, in base64, escaped as in JSON; each line of it that is long enough, but those that all
 * OpenSSH keys begin with.
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

/** Names of the secrets that a text holds, whole or in part. */
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

/**
 * Command lines of all processes of the host and of the lab's machines, each once, looked at as often as
 * possible.
 */
export async function duringProcesses(action: () => Promise<unknown>): Promise<string> {
  const lines = new Set<string>();
  let over = false;
  const done = action().finally(() => {
    over = true;
  });
  while (!over) {
    for (const line of await commandLines()) lines.add(line);
    await delay(5);
  }
  await done;
  return [...lines].join("\n");
}

async function commandLines(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  // A process may have ended since.
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
}
