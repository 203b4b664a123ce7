/** The load balancer's machine for checks: how a command runs there, and what messages call it. */
import { runHere } from "../../clients/local.ts";
import { connect, type SshConnection, type SshResult, timedOut } from "../../clients/ssh.ts";
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
  return {
    run: inTime(async (command, { input, signal }) => {
      // sshd may have ended it meanwhile, or the time limit of the command before.
      const connection = current?.isOpen ? current : await connect({ ...machine, agent }, { signal });
      if (connection !== current) onLogOn();
      current = connection;
      const end = () => connection.destroy();
      signal.addEventListener("abort", end, { once: true });
      try {
        return await connection.run(command, { input });
      } finally {
        signal.removeEventListener("abort", end);
      }
    }),
    close: () => current?.close(),
  };
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
