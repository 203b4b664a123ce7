/** A step of a task list whose result other code can wait for. */
import type { ListrTask } from "listr2";
import { throttled } from "../host/progress.ts";

export interface Step<T> {
  readonly task: ListrTask;
  /** Settles as the task does; stays pending when the task is never run. */
  readonly result: Promise<T>;
}

/** @param make the work; it can report lines with its progress */
export function step<T>(title: string, make: (report: (line: string) => void) => Promise<T>): Step<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  // The task list reports the error. A rejection that nothing awaits must not end the process.
  promise.catch(() => undefined);
  return {
    result: promise,
    task: {
      title,
      task: async (_, task) => {
        const report = throttled((line) => {
          task.output = line;
        });
        await make(report).then(resolve, (error: unknown) => {
          reject(error);
          throw error;
        });
      },
    },
  };
}
