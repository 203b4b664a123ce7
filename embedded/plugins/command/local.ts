/** Runs a command on this machine, as `local.Command` does. */
import { spawn } from "node:child_process";
import type { Properties } from "../values.ts";
import {
  type CommandRun,
  environment,
  type Output,
  previousOutputVariables,
  Transcript,
} from "./transcript.ts";

/**
 * An interrupt kills the interpreter alone, by SIGKILL. What it has started runs on, and is waited for as
 * long as it holds the interpreter's output.
 * @throws with the exit status, the command and all that it printed
 */
export async function runLocally({
  command,
  settings,
  previous,
  signal,
  onLine,
}: CommandRun): Promise<Output> {
  const [program, ...programArguments] = interpreterOf(settings);
  const transcript = new Transcript(settings, onLine);
  if (signal.aborted) throw transcript.failure("context canceled", command);
  const child = spawn(program, [...programArguments, command], {
    cwd: directoryOf(settings) ?? process.cwd(),
    env: {
      ...process.env,
      ...environment(settings),
      ...previousOutputVariables(settings, previous),
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  // A command may end without reading its input.
  child.stdin.on("error", () => {});
  child.stdin.end((settings.stdin as string | undefined) ?? "");
  transcript.follow("stdout", child.stdout);
  transcript.follow("stderr", child.stderr);
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      resolve(startFailure(error, program, directoryOf(settings))),
    );
    child.once("close", (code, name) => resolve(exitFailure(code, name)));
  });
  signal.removeEventListener("abort", kill);
  transcript.end();
  if (failure !== undefined) throw transcript.failure(failure, command);
  return transcript.output();
}

function interpreterOf(settings: Properties): [program: string, ...args: string[]] {
  const [program, ...args] = (settings.interpreter ?? []) as string[];
  return program === undefined ? ["/bin/sh", "-c"] : [program, ...args];
}

function directoryOf(settings: Properties): string | undefined {
  return settings.dir as string | undefined;
}

/** In the words of Go, which the official provider shows; undefined for exit status 0. */
function exitFailure(code: number | null, name: NodeJS.Signals | null): string | undefined {
  if (code === 0) return undefined;
  return code === null ? `signal: ${SIGNAL_TEXTS[name ?? ""] ?? name}` : `exit status ${code}`;
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
