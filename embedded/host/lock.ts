import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { execa } from "execa";
import { LabError } from "../../clients/process.ts";

/**
 * Runs the action while no other process of the lab holds the file's lock. The kernel gives the lock back when
 * this process ends, however it ends.
 *
 * @param onWait called once when somebody else holds it; it may throw, to not wait.
 */
export async function withLock<T>(file: string, onWait: () => void, action: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  // `cat` holds the lock for as long as this process keeps its standard input open. A group of its own keeps
  // Ctrl-C from it: what the lock guards may still have to be put in order.
  const holder = execa("flock", ["--exclusive", file, "sh", "-c", "echo locked; exec cat"], {
    buffer: false,
    reject: false,
    detached: true,
  });
  let waiting: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      void holder.then((result) =>
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
    holder.stdin.end();
    holder.kill();
    await holder;
  }
}
