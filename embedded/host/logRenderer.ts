/** Shows progress in logs and pipes: a line for each group, and lines for the steps in it that take time. */
import type { ListrRenderer } from "listr2";

/** The events of listr2 that are shown. Its own type does not name their arguments. */
interface Task {
  readonly title?: string;
  on(event: "SUBTASK", listener: (steps: readonly Task[]) => void): void;
  on(event: "STATE", listener: (state: string) => void): void;
  on(event: "OUTPUT", listener: (line: string) => void): void;
}

/** A step gets a line of its own when it has run for so many milliseconds. */
const SLOW = 1000;

export class LogRenderer implements ListrRenderer {
  static readonly nonTTY = true;
  static readonly rendererOptions = {};
  static readonly rendererTaskOptions = {};
  readonly #tasks: readonly Task[];
  readonly #write: (line: string) => void;

  constructor(tasks: readonly unknown[], options: { write?: (line: string) => void } = {}) {
    this.#tasks = tasks as readonly Task[];
    this.#write = options.write ?? ((line) => void process.stderr.write(`${line}\n`));
  }

  render(): void {
    for (const task of this.#tasks) this.#show(task, true);
  }

  end(): void {}

  #show(task: Task, outermost: boolean): void {
    const { title } = task;
    if (title === undefined) return;
    let startedAt = 0;
    let slow: NodeJS.Timeout | undefined;
    let announced = false;
    let grouped = false;
    const announce = (): void => {
      if (announced || grouped) return;
      announced = true;
      this.#write(`❯ ${title}`);
    };
    task.on("SUBTASK", (steps) => {
      grouped = true;
      for (const step of steps) this.#show(step, false);
    });
    task.on("OUTPUT", (line) => {
      announce();
      this.#write(`› ${line}`);
    });
    task.on("STATE", (state) => {
      if (state === "STARTED") {
        startedAt = performance.now();
        slow = setTimeout(announce, SLOW).unref();
      } else clearTimeout(slow);
      if (state === "FAILED") this.#write(`✖ ${title}`);
      if (state === "COMPLETED" && (announced || outermost)) {
        this.#write(`✔ ${title} [${((performance.now() - startedAt) / 1000).toFixed(1)}s]`);
      }
    });
  }
}
