/** Progress of long work on standard error; standard output is for data. */
import { Listr, ListrLogger, type ListrTask, PRESET_TIMER, ProcessOutput } from "listr2";
import { LogRenderer } from "./logRenderer.ts";

/** Milliseconds between two progress lines of one task: a terminal redraws, a log grows. */
const REPORT_EVERY = process.stderr.isTTY ? 200 : 15_000;

/** Several steps that end as one line. */
export function group(title: string, steps: ListrTask[], options: { concurrent?: boolean } = {}): ListrTask {
  return { title, task: (_, task) => task.newListr(steps, options) };
}

/**
 * Runs tasks in order. When all is well, one line a group remains, and a line for each step that took time.
 *
 * @throws the error of the first task that fails, after those that run beside it have settled.
 */
export async function runTasks(tasks: ListrTask[], { quiet = false } = {}): Promise<void> {
  const processOutput = new ProcessOutput(process.stderr, process.stderr);
  const renderer = quiet ? "silent" : process.stderr.isTTY ? "default" : LogRenderer;
  await new Listr(tasks, {
    renderer,
    exitOnError: true,
    // The command line handles Ctrl-C, once for everything that runs.
    registerSignalListeners: false,
    rendererOptions: {
      timer: PRESET_TIMER,
      collapseSubtasks: true,
      logger: new ListrLogger({ processOutput }),
      removeEmptyLines: true,
    },
  } as ConstructorParameters<typeof Listr>[1]).run();
}

/** Passes on the first of many lines, and then at most one in {@link REPORT_EVERY}. */
export function throttled(report: (line: string) => void): (line: string) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (line) => {
    if (performance.now() - last < REPORT_EVERY) return;
    last = performance.now();
    report(line);
  };
}
