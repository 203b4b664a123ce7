/** The load balancer's machine for checks: how a command runs there, and what messages call it. */
import { runHere } from "../../clients/local.ts";
import { runOverSsh, type SshResult } from "../../clients/ssh.ts";
import type { LoadBalancer } from "./config.ts";

/** Runs a command with this standard input. @throws SshError */
export type Runner = (
  command: string,
  options: { readonly input: string; readonly signal: AbortSignal },
) => Promise<SshResult>;

/** Over SSH, or on this machine. @param machine `privateKey` is the user's, in plain. */
export function runnerFor(machine: LoadBalancer & { readonly privateKey: string }): Runner {
  if (machine.local) return runHere;
  const agent = process.env.SSH_AUTH_SOCK || undefined;
  return (command, options) => runOverSsh({ ...machine, agent }, command, options);
}

export function nameOf(machine: Pick<LoadBalancer, "local" | "user" | "host" | "port">): string {
  const { local, user, host, port } = machine;
  return local ? "load balancer on this machine" : `load balancer ${user}@${host}:${port}`;
}
