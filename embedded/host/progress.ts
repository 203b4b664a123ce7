/** Shows the progress of long work on standard error. Standard output is for data. */
import { Listr, ListrLogger, type ListrTask, PRESET_TIMER, ProcessOutput } from "listr2";
import { LogRenderer } from "./logRenderer.ts";

/** Milliseconds between two progress lines of one task. A terminal redraws the line; a log gets one more. */
const REPORT_EVERY = process.stderr.isTTY ? 200 : 15_000;

/** A group of steps, of which one line remains. */
export function group(title: string, steps: ListrTask[], options: { concurrent?: boolean } = {}): ListrTask {
  return { title, task: (_, task) => task.newListr(steps, options) };
}

/**
 * Runs tasks in order. Without a failure there remain one line a group and a line for each step that took
 * time.
 *
 * @throws the error of the first task that fails, when the tasks beside it have settled
 */
export async function runTasks(tasks: ListrTask[], { quiet = false } = {}): Promise<void> {
  const processOutput = new ProcessOutput(process.stderr, process.stderr);
  const renderer = quiet ? "silent" : process.stderr.isTTY ? "default" : LogRenderer;
  await new Listr(tasks, {
    renderer,
    exitOnError: true,
    // The command line handles Ctrl-C for everything that runs.
    registerSignalListeners: false,
    rendererOptions: {
      timer: PRESET_TIMER,
      collapseSubtasks: true,
      logger: new ListrLogger({ processOutput }),
      removeEmptyLines: true,
    },
  } as ConstructorParameters<typeof Listr>[1]).run();
}

/** Passes on the first of many lines, then at most one line in {@link REPORT_EVERY}. */
export function throttled(report: (line: string) => void): (line: string) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (line) => {
    if (performance.now() - last < REPORT_EVERY) return;
    last = performance.now();
    report(line);
  };
}
