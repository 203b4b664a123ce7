/** Running other programs: to their end, on the terminal, until a condition holds; and interruptions. */
import { execa, type Options } from "execa";

/** A fault that the user can fix: shown as its message alone, without a stack. */
export class LabError extends Error {
  /** Exit code, Pulumi's where one fits: 1 error, 2 configuration. */
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = "LabError";
    this.exitCode = exitCode;
  }
}

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
  const result = await execa(command, args, { reject: false, stdio: "ignore" });
  return !result.failed;
}

/** Runs a command on the user's own terminal and returns its exit code. */
export async function passThrough(
  command: string,
  args: readonly string[],
  options: Options = {},
): Promise<number> {
  const result = await execa(command, args, { stdio: "inherit", ...options, reject: false });
  return result.exitCode ?? (result.signal === "SIGINT" ? 130 : 1);
}

/** Resolves when the condition holds. It is polled: it is about another process. */
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

/** Process groups of what {@link launch} started and has not ended. */
const groups = new Set<number>();

/**
 * Runs a command to its end, successful or not. It has a process group of its own, so that an interruption of
 * the lab reaches it once, whether it comes from the keyboard or from `kill`.
 */
export async function launch(
  command: string,
  args: readonly string[],
  options: Options = {},
): Promise<Ended> {
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

/** What is known of a command that has ended. */
export interface Ended {
  readonly failed: boolean;
  /** Undefined when it did not start or a signal ended it. */
  readonly exitCode: number | undefined;
  /** One line on how it failed. */
  readonly shortMessage: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, as they came, when the option `all` was set. */
  readonly all: string;
}

function text(output: unknown): string {
  return typeof output === "string" ? output : "";
}

/**
 * Makes Ctrl-C and SIGTERM end the command in order: running commands are interrupted, waits end with an
 * error. A second one ends it at once.
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
    // It has ended meanwhile.
  }
}
