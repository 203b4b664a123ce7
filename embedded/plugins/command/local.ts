/** Runs a command on this machine, as `local.Command` does. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { type Properties, reveal } from "../values.ts";

/** What a command printed, without its last newline. */
export interface Output {
  stdout: string;
  stderr: string;
}

export interface CommandRun {
  command: string;
  /** The resource's inputs: stdin, environment, dir, interpreter, logging, connection … */
  settings: Properties;
  /** Handed to the command as PULUMI_COMMAND_STDOUT and _STDERR unless `addPreviousOutputInEnv` is false. */
  previous: Output;
  /** Ends the command: by SIGTERM, and by SIGKILL when that is not heeded. */
  signal: AbortSignal;
  /** Called for each line printed, of the streams that `logging` names. */
  onLine(line: string): void;
  onWarning(text: string): void;
}

/** What the command gets to clean up between SIGTERM and SIGKILL. */
export const TERMINATION_GRACE_MS = 5000;

/** @throws with the exit status, the command and all that it printed */
export async function runLocally({
  command,
  settings,
  previous,
  signal,
  onLine,
}: CommandRun): Promise<Output> {
  const interpreter = settings.interpreter as string[] | undefined;
  const [program = "/bin/sh", ...programArguments] = interpreter?.length ? interpreter : ["/bin/sh", "-c"];
  if (signal.aborted) throw new Error(`context canceled: running ${JSON.stringify(command)}:\n`);
  const child = spawn(program, [...programArguments, command], {
    cwd: (settings.dir as string | undefined) ?? process.cwd(),
    env: {
      ...process.env,
      ...environment(settings),
      ...previousOutputVariables(settings, previous),
    },
    stdio: ["pipe", "pipe", "pipe"],
    // A process group of its own, so that an interrupt ends what the shell has started too.
    detached: true,
  });
  // A command that does not read its input is no fault.
  child.stdin.on("error", () => {});
  child.stdin.end((settings.stdin as string | undefined) ?? "");

  const transcript = new Transcript(settings, onLine);
  transcript.follow("stdout", child.stdout);
  transcript.follow("stderr", child.stderr);

  const killGroup = (name: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // It ended by itself in the meantime.
    }
  };
  let killTimer: NodeJS.Timeout | undefined;
  const terminate = () => {
    killGroup("SIGTERM");
    killTimer = setTimeout(() => killGroup("SIGKILL"), TERMINATION_GRACE_MS);
  };
  signal.addEventListener("abort", terminate, { once: true });
  try {
    const failure = await new Promise<string | undefined>((resolve) => {
      child.once("error", (error: NodeJS.ErrnoException) =>
        resolve(startFailure(error, program, settings.dir as string | undefined)),
      );
      child.once("close", (code, name) => resolve(exitFailure(code, name)));
    });
    transcript.end();
    if (failure !== undefined) throw transcript.failure(failure, command);
    return transcript.output();
  } finally {
    signal.removeEventListener("abort", terminate);
    clearTimeout(killTimer);
  }
}

export function environment(settings: Properties): Record<string, string> {
  return (settings.environment ?? {}) as Record<string, string>;
}

export function previousOutputVariables(settings: Properties, previous: Output): Record<string, string> {
  if (settings.addPreviousOutputInEnv === false) return {};
  return {
    ...(previous.stdout === "" ? {} : { PULUMI_COMMAND_STDOUT: previous.stdout }),
    ...(previous.stderr === "" ? {} : { PULUMI_COMMAND_STDERR: previous.stderr }),
  };
}

/** The output that a resource's state remembers. */
export function previousOutput(state: Properties): Output {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return { stdout: text(reveal(state.stdout ?? "")), stderr: text(reveal(state.stderr ?? "")) };
}

/** Collects both streams, for the outputs apart and for an error message in the order of arrival. */
export class Transcript {
  readonly #texts = { stdout: "", stderr: "" };
  #all = "";
  readonly #pending = { stdout: "", stderr: "" };
  readonly #logged: { stdout: boolean; stderr: boolean };
  readonly #onLine: (line: string) => void;

  constructor(settings: Properties, onLine: (line: string) => void) {
    const logging = settings.logging ?? "stdoutAndStderr";
    this.#logged = {
      stdout: logging === "stdout" || logging === "stdoutAndStderr",
      stderr: logging === "stderr" || logging === "stdoutAndStderr",
    };
    this.#onLine = onLine;
  }

  follow(name: "stdout" | "stderr", stream: Readable): void {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      this.#texts[name] += chunk;
      this.#all += chunk;
      if (this.#logged[name]) this.#log(name, chunk);
    });
  }

  /** Logs what came without a last newline. */
  end(): void {
    for (const name of ["stdout", "stderr"] as const) {
      if (this.#pending[name] !== "") this.#onLine(this.#pending[name]);
      this.#pending[name] = "";
    }
  }

  output(): Output {
    const { stdout, stderr } = this.#texts;
    return { stdout: withoutNewline(stdout), stderr: withoutNewline(stderr) };
  }

  failure(reason: string, command: string): Error {
    return new Error(`${reason}: running ${JSON.stringify(command)}:\n${this.#all}`);
  }

  #log(name: "stdout" | "stderr", chunk: string): void {
    const lines = (this.#pending[name] + chunk).split("\n");
    this.#pending[name] = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line.replace(/\r$/, ""));
  }
}

function withoutNewline(text: string): string {
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

function exitFailure(code: number | null, name: NodeJS.Signals | null): string | undefined {
  if (code === 0) return undefined;
  if (code !== null) return `exit status ${code}`;
  return `signal: ${SIGNAL_TEXTS[name ?? ""] ?? name} (${constants.signals[name ?? "SIGKILL"]})`;
}

const SIGNAL_TEXTS: Record<string, string> = {
  SIGTERM: "terminated",
  SIGKILL: "killed",
  SIGINT: "interrupt",
  SIGSEGV: "segmentation fault",
  SIGHUP: "hangup",
};

/** Node reports a missing directory as a missing program. */
function startFailure(error: NodeJS.ErrnoException, program: string, directory: string | undefined): string {
  if (error.code !== "ENOENT") return `fork/exec ${program}: ${error.message}`;
  if (directory !== undefined) return `chdir ${directory} or exec ${program}: no such file or directory`;
  return `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
}
