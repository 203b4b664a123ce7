import { Listr, ListrLogger, type ListrTask, PRESET_TIMER, ProcessOutput } from "listr2";

/** Milliseconds between two progress lines of one task: a terminal redraws, a log grows. */
const REPORT_EVERY = process.stderr.isTTY ? 200 : 15_000;

/**
 * Runs tasks in order with their elapsed times on standard error; standard output is for data.
 *
 * @throws the error of the first task that fails, after those that run beside it have settled.
 */
export async function runTasks(tasks: ListrTask[], { quiet = false } = {}): Promise<void> {
  const processOutput = new ProcessOutput(process.stderr, process.stderr);
  const renderer = quiet ? "silent" : process.stderr.isTTY ? "default" : "simple";
  await new Listr(tasks, {
    renderer,
    exitOnError: true,
    // Ctrl-C is handled once, by the command line.
    registerSignalListeners: false,
    rendererOptions: {
      timer: PRESET_TIMER,
      collapseSubtasks: false,
      logger: new ListrLogger({ processOutput }),
      removeEmptyLines: true,
    },
  } as ConstructorParameters<typeof Listr>[1]).run();
}

/** Passes on the first of many lines, and then at most one in {@link REPORT_EVERY}. */
export function throttled(report: (line: string) => void): (line: string) => void {
  let last = 0;
  return (line) => {
    if (performance.now() - last < REPORT_EVERY) return;
    last = performance.now();
    report(line);
  };
}
