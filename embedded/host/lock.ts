/** A lock between processes, by flock(1). The kernel releases it when the process ends, however it ends. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { LabError, loadExeca } from "../../clients/process.ts";

/**
 * Runs the action while no other process of the lab has the file's lock.
 *
 * @param onWait called once when another process has the lock; it throws where the caller does not wait
 */
export async function withLock<T>(file: string, onWait: () => void, action: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const execa = await loadExeca();
  // `cat` has the lock until this process closes its standard input. It is in a process group of its own, so
  // that Ctrl-C does not end it before this process has cleaned up.
  const flock = execa("flock", ["--exclusive", file, "sh", "-c", "echo locked; exec cat"], {
    buffer: false,
    reject: false,
    detached: true,
  });
  let waiting: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      flock.stdout.once("data", () => resolve());
      void flock.then((result) =>
        reject(new LabError(`lock ${file}: ${result.shortMessage ?? "flock ended"}`)),
      );
      waiting = setTimeout(() => {
        try {
          onWait();
        } catch (error) {
          reject(error);
        }
      }, 500);
    }).finally(() => clearTimeout(waiting));
    return await action();
  } finally {
    flock.stdin.end();
    flock.kill();
    await flock;
  }
}
