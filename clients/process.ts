/** Runs other programs, waits for conditions, and handles interruptions. */
import type { Options } from "execa";

/** A fault that the user can fix. The command line prints its message, without a stack. */
export class LabError extends Error {
  /** Exit code, Pulumi's where one fits: 1 error, 2 configuration. */
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = "LabError";
    this.exitCode = exitCode;
  }
}

/** Loads execa, which takes longer to load than many a command of the lab to run. */
export const loadExeca = async () => (await import("execa")).execa;

/**
 * Runs a command to its end and returns its output.
 *
 * @throws LabError with the command line and what it printed, when its exit code is not 0.
 */
export async function run(command: string, args: readonly string[], options: Options = {}): Promise<string> {
  const result = await launch(command, args, { all: true, ...options });
  if (result.failed) {
    const printed = result.all.trim();
    const how = result.exitCode === undefined ? result.shortMessage : `exit code ${result.exitCode}`;
    throw new LabError(`${[command, ...args].join(" ")}: ${how}${printed ? `\n${printed}` : ""}`);
  }
  return result.stdout;
}

/** Runs a command and returns only whether it succeeded. */
export async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  const execa = await loadExeca();
  const result = await execa(command, args, { reject: false, stdio: "ignore" });
  return !result.failed;
}

/** Runs a command on the user's own terminal and returns its exit code. */
export async function passThrough(
  command: string,
  args: readonly string[],
  options: Options = {},
): Promise<number> {
  const execa = await loadExeca();
  const result = await execa(command, args, { stdio: "inherit", ...options, reject: false });
  return result.exitCode ?? (result.signal === "SIGINT" ? 130 : 1);
}

/** Resolves when the condition holds. The condition is about another process, so it is polled. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  { timeoutMs = 60_000, intervalMs = 100, hint = async () => "" } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (interrupted) throw new LabError(`${what}: interrupted`, 8);
    if (performance.now() > deadline) {
      const more = await hint();
      throw new LabError(`${what}: not after ${timeoutMs / 1000} s${more ? `\n${more}` : ""}`);
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

let interrupted = false;

/** Process groups of the running programs of {@link launch}. */
const groups = new Set<number>();

/**
 * Runs a command to its end, successful or not. The command has a process group of its own. So an
 * interruption of the lab reaches it once, both from the keyboard and from `kill`.
 */
export async function launch(
  command: string,
  args: readonly string[],
  options: Options = {},
): Promise<Ended> {
  const execa = await loadExeca();
  const child = execa(command, args, { ...options, detached: true, reject: false });
  const { pid } = child;
  if (pid) groups.add(pid);
  try {
    const { failed, exitCode, shortMessage = "", stdout, stderr, all } = await child;
    return { failed, exitCode, shortMessage, stdout: text(stdout), stderr: text(stderr), all: text(all) };
  } finally {
    if (pid) groups.delete(pid);
  }
}

/** The end of a command. */
export interface Ended {
  readonly failed: boolean;
  /** Undefined when it did not start or a signal ended it. */
  readonly exitCode: number | undefined;
  /** One line on how it failed. */
  readonly shortMessage: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams in the order of arrival, with the option `all`. */
  readonly all: string;
}

function text(output: unknown): string {
  return typeof output === "string" ? output : "";
}

/**
 * Has Ctrl-C and SIGTERM end the lab's command in order: running programs are interrupted, waits end with an
 * error. A second signal ends the command at once.
 */
export function watchInterrupts(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      for (const group of groups) signalGroup(group, interrupted ? "SIGKILL" : "SIGINT");
      if (interrupted) process.exit(8);
      interrupted = true;
      if (groups.size > 0) console.error("\nlab: stopping; once more to stop at once");
    });
  }
}

/** Whether the user has interrupted the command. */
export function isInterrupted(): boolean {
  return interrupted;
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The process has ended meanwhile.
  }
}
