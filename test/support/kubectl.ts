/** A real kubectl for unit tests: the one of the lab's cache, or the one on PATH. */
import { accessSync, constants, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** @throws Error where there is none: the tests of the API's clients need one */
export function findKubectl(): string {
  const bin = join(homedir(), ".cache", "istio-lab", "bin");
  const built = entries(bin)
    .filter((name) => name.startsWith("kubernetes-"))
    .map((name) => join(bin, name));
  const directories = [...built, ...(process.env.PATH ?? "").split(delimiter)];
  const found = directories.map((directory) => join(directory, "kubectl")).find(isExecutable);
  if (found) return found;
  throw new Error("these tests need kubectl: put it on PATH, or let `./lab tools` build it");
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
