/** Runs a command on this machine, with the interface of clients/ssh.ts: input, exit status, time limit. */
import { loadExeca } from "./process.ts";
import type { SshResult } from "./ssh.ts";

export interface LocalOptions {
  /** Standard input. @default empty */
  readonly input?: string | undefined;
  /** Ends the command: SIGTERM, and SIGKILL after 5 s. @default never */
  readonly signal?: AbortSignal | undefined;
}

/** Runs a shell command to its end, successful or not, as Pulumi's `local.Command` does. */
export async function runHere(
  command: string,
  { input = "", signal }: LocalOptions = {},
): Promise<SshResult> {
  // Most updates run nothing on this machine.
  const execa = await loadExeca();
  const { stdout, stderr, exitCode, ...ended } = await execa("/bin/sh", ["-c", command], {
    input,
    reject: false,
    stripFinalNewline: false,
    ...(signal && { cancelSignal: signal }),
  });
  return { stdout, stderr, exitCode, signal: ended.signal };
}
