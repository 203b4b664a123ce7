import { execa, type Options, type ResultPromise } from "execa";

/** A mistake or a state of the host that the user can put right: shown as its message alone. */
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
  const result = await execa(command, args, { all: true, ...options, reject: false });
  if (result.failed) {
    const said = String(result.all ?? result.stderr ?? "").trim();
    const how =
      result.exitCode === undefined
        ? (result.shortMessage ?? "did not start")
        : `exit code ${result.exitCode}`;
    throw new LabError(`${[command, ...args].join(" ")}: ${how}${said ? `\n${said}` : ""}`);
  }
  return String(result.stdout ?? "");
}

/** Runs a command and tells only whether it succeeded. */
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

export type { ResultPromise };

/** Resolves when the condition holds; polls, because what it asks is another process. */
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

/**
 * Makes Ctrl-C and SIGTERM end the command in order: children get the signal from the terminal and end, what
 * waits gives up, and a second signal ends the command at once.
 */
export function watchInterrupts(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (interrupted) process.exit(8);
      interrupted = true;
    });
  }
}

/** Whether the user has asked to stop. */
export function isInterrupted(): boolean {
  return interrupted;
}
