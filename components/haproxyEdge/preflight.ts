/** Checks whether a push to the load balancer would succeed, by the same way in; changes nothing there. */
import { fingerprint } from "../../clients/hostKey.ts";
import { SshError, type SshResult } from "../../clients/ssh.ts";
import { look } from "../../haproxy/push.ts";
import { listenAddresses } from "../../haproxy/render.ts";
import { parseReport, type Report } from "../../haproxy/report.ts";
import type { Findings, MachineCheckContext, Preflight } from "../../preflight/capability.ts";
import type { Stats } from "../stats/config.ts";
import type { LoadBalancer } from "./config.ts";
import { nameOf, openSession, type Runner, type Session } from "./machine.ts";
import { checkReach, type ReachNeeds } from "./reach.ts";

export interface LoadBalancerAccess extends LoadBalancer {
  /** Private key for the user, in plain. */
  readonly privateKey: string;
  /** The stack: a file of another owner is a fault. */
  readonly owner: string;
  /** The addresses that HAProxy is to listen on, as on its `bind` lines. */
  readonly listen: readonly string[];
}

export interface LoadBalancerState {
  /** Why a push would fail, one a line. */
  readonly faults: readonly string[];
  /** What would not keep a push from serving, one a line. @default nothing */
  readonly warnings?: readonly string[];
  /**
   * Edits by hand of haproxy.cfg, by hash, sorted: the file as it is, and the copies that pushes have kept.
   */
  readonly edits: readonly string[];
}

/** What the checks of the load balancer need of the configuration. */
export interface Needs {
  readonly loadBalancer: LoadBalancer;
  readonly loadBalancerPrivateKey: string;
  /** Undefined is port 80 only. */
  readonly tls?: { readonly mode: string } | undefined;
  readonly stats: Stats;
}

export interface HaproxyEdgeFacts {
  /** Edits by hand that the load balancer holds, by hash. */
  readonly edits: readonly string[];
  /** Where a later check goes on with the same log-on. */
  readonly session: Session;
}

export const haproxyEdgePreflight = {
  machineChecks: [checkMachine],
  lastChecks: [checkReach],
} satisfies Preflight<Needs & ReachNeeds>;

async function checkMachine({
  config,
  owner,
  signal,
  atEnd,
  answered,
}: MachineCheckContext<Needs>): Promise<Findings<HaproxyEdgeFacts>> {
  const { loadBalancer, loadBalancerPrivateKey: privateKey, tls, stats } = config;
  const { ports = { http: 80, https: 443 }, ipv6 } = loadBalancer;
  const listen = listenAddresses({ ports, https: tls !== undefined, ipv6, stats });
  const access = { ...loadBalancer, privateKey, owner, listen };
  const session = openSession(access, answered);
  atEnd(() => session.close());
  const { faults, warnings = [], edits } = await checkLoadBalancer(access, signal, session.run);
  return {
    faults: faults.map((message) => ({ key: "loadBalancer", message })),
    warnings,
    facts: { edits, session },
  };
}

/**
 * Lets push.sh look around. Over SSH the host key is compared before the user's name is sent.
 * @param signal when the load balancer counts as off.
 */
export async function checkLoadBalancer(
  access: LoadBalancerAccess,
  signal: AbortSignal,
  run: Runner,
): Promise<LoadBalancerState> {
  const where = nameOf(access);
  const { command, input } = look(access, access);
  try {
    const result = await run(command, { input, signal });
    const { faults, warnings, edits } = reportOf(result, access);
    const named = (lines: readonly string[]) => lines.map((line) => `${where}: ${line}`);
    return { faults: named(faults), ...(warnings.length > 0 && { warnings: named(warnings) }), edits };
  } catch (error) {
    if (!(error instanceof SshError)) return { faults: [`${where}: ${(error as Error).message}`], edits: [] };
    const why = logOnFault(error, access);
    return { faults: why ? [`${where} ${why}`] : [], edits: [] };
  }
}

/** @throws Error that says why there is no report. */
function reportOf({ stdout, stderr, exitCode }: SshResult, { local, user }: LoadBalancerAccess): Report {
  try {
    return parseReport(stdout);
  } catch (error) {
    const status = exitCode === undefined ? "without an exit status" : `with status ${exitCode}`;
    const last = stderr
      .trim()
      .split("\n")
      .at(-1)
      ?.replace(/\p{Cc}/gu, " ")
      .slice(0, 200);
    const hint =
      `; does ${user} have a login shell that runs commands (chsh -s /bin/sh ${user}), ` +
      `and a password that has not expired (chage -l ${user})? ` +
      "Does its start-up file (.bashrc) end or replace the shell, " +
      "or sshd run another command (ForceCommand)?";
    throw new Error(
      `the look before the push ended ${status}: ${(error as Error).message}` +
        `${last ? ` (${last})` : ""}${local ? "" : hint}`,
    );
  }
}

/** Undefined for a key in a form that only the push can read: the machine is the right one. */
function logOnFault(error: SshError, { user, hostKey }: LoadBalancerAccess): string | undefined {
  if (error.code === "ECONNRESET" || error.message.includes("lost before handshake"))
    return (
      `closes the connection before a log-on (${error.message}). OpenSSH 9.8 and later does so for a while ` +
      "after failed log-ons (PerSourcePenalties): wait a minute. Else look for MaxStartups, fail2ban or " +
      "/etc/hosts.deny; sshd's log says which (journalctl -u ssh -u sshd)"
    );
  switch (error.kind) {
    case "host-key":
      return (
        `shows the host key ${fingerprint(error.shown)}, ` +
        `and loadBalancer.hostKey is ${fingerprint(hostKey?.bytes)}: nothing was sent to it. ` +
        "If the machine was reinstalled, compare with " +
        "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on it and set loadBalancer.hostKey"
      );
    case "handshake":
      return (
        `answers, but the SSH handshake fails: ${error.message}; ` +
        "does its sshd have a host key of the type in loadBalancer.hostKey?"
      );
    case "denied":
      return (
        "does not accept loadBalancerPrivateKey: " +
        `add its public key to ~/.ssh/authorized_keys of ${user} there: ${error.publicKey ?? ""}. ` +
        "If it is there, sshd's log says why not (journalctl -u ssh -u sshd): modes of the home directory " +
        "(chmod go-w ~ ~/.ssh ~/.ssh/authorized_keys), options of the key (from, expiry-time), AllowUsers, " +
        "a login shell that does not exist, or AuthenticationMethods that want more than one key"
      );
    case "ended":
      return (
        `ends the connection while ${user} logs on (${error.message}): look for an account that has ` +
        `expired (chage -l ${user}), for /etc/nologin, and for AuthenticationMethods that want more than ` +
        "a key; " +
        "sshd's log says which (journalctl -u ssh -u sshd)"
      );
    case "private-key":
      return undefined;
    case "refused":
      return (
        `accepts ${user}, and runs no command (${error.message}): ` +
        "let its sshd do so (MaxSessions 1 or more, no restriction of the key)"
      );
    case "agent":
      return (
        `cannot be reached by the push: SSH_AUTH_SOCK is ${process.env.SSH_AUTH_SOCK}, ` +
        `and no SSH agent answers there (${error.message}): unset SSH_AUTH_SOCK, or start the agent`
      );
    default:
      return (
        `does not answer: ${error.message}; ` +
        "is the machine up, and do loadBalancer.host and loadBalancer.port lead to its sshd?"
      );
  }
}
