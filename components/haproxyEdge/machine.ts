/** The load balancer's machine for checks: how a command runs there, and what messages call it. */
import { runHere } from "../../clients/local.ts";
import { connect, type SshConnection, SshError, type SshResult, timedOut } from "../../clients/ssh.ts";
import type { LoadBalancer } from "./config.ts";

/** Runs a command with this standard input. @throws SshError, also when the time limit cuts it off */
export type Runner = (
  command: string,
  options: { readonly input: string; readonly signal: AbortSignal },
) => Promise<SshResult>;

/** A way to the load balancer that several checks use, one after the other, with one log-on. */
export interface Session {
  readonly run: Runner;
  close(): void;
}

/**
 * Logs on with the first command, over SSH, or not at all.
 *
 * @param machine `privateKey` is in plain
 * @param onLogOn called after each log-on
 */
export function openSession(
  machine: LoadBalancer & { readonly privateKey: string },
  onLogOn: () => void = () => undefined,
): Session {
  if (machine.local) return { run: inTime(runHere), close: () => undefined };
  const agent = process.env.SSH_AUTH_SOCK || undefined;
  let current: SshConnection | undefined;
  const logOn = async (signal: AbortSignal) => {
    current?.close();
    current = await connect({ ...machine, agent }, { signal });
    onLogOn();
    return current;
  };
  return {
    run: inTime(async (command, options) => {
      const { signal } = options;
      // sshd may have ended it meanwhile, or the time limit of the command before.
      if (!current?.isOpen) return await runOn(await logOn(signal), command, options);
      try {
        return await runOn(current, command, options);
      } catch (error) {
        // With `MaxSessions 1` sshd still counts the command before for a moment.
        if (!(error instanceof SshError) || error.kind !== "refused") throw error;
        return await runOn(await logOn(signal), command, options);
      }
    }),
    close: () => current?.close(),
  };
}

async function runOn(
  connection: SshConnection,
  command: string,
  { input, signal }: Parameters<Runner>[1],
): Promise<SshResult> {
  const end = () => connection.destroy();
  signal.addEventListener("abort", end, { once: true });
  try {
    return await connection.run(command, { input });
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** A command that is cut off has no exit status, nor has one whose shell ends early: the signal decides. */
function inTime(run: Runner): Runner {
  return async (command, options) => {
    const result = await run(command, options);
    if (options.signal.aborted) throw timedOut();
    return result;
  };
}

export function nameOf(machine: Pick<LoadBalancer, "local" | "user" | "host" | "port">): string {
  const { local, user, host, port } = machine;
  return local ? "load balancer on this machine" : `load balancer ${user}@${host}:${port}`;
}
