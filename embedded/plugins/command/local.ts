/** Runs a command on this machine, as `local.Command` does. */
import { spawn } from "node:child_process";
import { type CommandRun, type Output, Transcript } from "./transcript.ts";

const SHELL = "/bin/sh";

/**
 * An interrupt kills only the interpreter, by SIGKILL. Its children run on. The wait lasts until they close
 * the interpreter's output.
 * @throws Error with the exit status, the command and its output
 */
export async function runLocally({ command, settings, signal, onLine }: CommandRun): Promise<Output> {
  const transcript = new Transcript(onLine);
  if (signal.aborted) throw transcript.failure("context canceled", command);
  const child = spawn(SHELL, ["-c", command], {
    env: { ...process.env, ...(settings.environment as Record<string, string> | undefined) },
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
    child.once("error", (error) => resolve(`fork/exec ${SHELL}: ${error.message}`));
    child.once("close", (code, name) => resolve(exitFailure(code, name)));
  });
  signal.removeEventListener("abort", kill);
  transcript.end();
  if (failure !== undefined) throw transcript.failure(failure, command);
  return transcript.output();
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
