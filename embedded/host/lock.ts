/** A lock between processes, by flock(1): the kernel releases it when its process ends, however it ends. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { execa } from "execa";
import { LabError } from "../../clients/process.ts";

/**
 * Runs the action while no other process of the lab has the file's lock.
 *
 * @param onWait called once when another process has it; it may throw, to not wait.
 */
export async function withLock<T>(file: string, onWait: () => void, action: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  // `cat` has the lock until this process closes its standard input. It is in a group of its own, out of
  // reach of Ctrl-C: what the lock guards may still have to be put in order.
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
