/** Runs a command over SSH, as `remote.Command` does. */
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { type HostKey, parseHostKey } from "../../../clients/hostKey.ts";
import { connect, type SshConnection, SshError, type SshTarget } from "../../../clients/ssh.ts";
import { type CommandRun, type Output, Transcript } from "./transcript.ts";

/** The resource's check sets the defaults; see the official `remote.Connection`. */
export interface Connection {
  host: string;
  port: number;
  user: string;
  privateKey?: string;
  /** As in authorized_keys: type, base64, comment. @default any host is trusted */
  hostKey?: string;
  dialErrorLimit: number;
  /** In seconds; 0 for no limit. */
  perDialTimeout: number;
}

/**
 * An interrupt does not reach the remote command. The update ends when the command ends.
 * @throws Error when the machine does not answer, has another host key or refuses the user's key, or when the
 * command fails
 */
export async function runRemotely(run: CommandRun): Promise<Output> {
  const { settings, command } = run;
  const connection = await dial(settings.connection as unknown as Connection, run);
  try {
    const transcript = new Transcript(run.onLine);
    const input = (settings.stdin as string | undefined) ?? "";
    const { stdout, stderr, ended } = await connection.start(command, { input });
    transcript.follow("stdout", stdout);
    transcript.follow("stderr", stderr);
    const { exitCode, signal } = await ended;
    transcript.end();
    if (exitCode === 0) return transcript.output();
    throw transcript.failure(failureOf(exitCode, signal), command);
  } finally {
    connection.close();
  }
}

/** In the words of Go's ssh package, which the official provider shows. */
function failureOf(exitCode: number | undefined, signal: string | undefined): string {
  if (exitCode !== undefined) return `Process exited with status ${exitCode}`;
  if (signal === undefined) return "wait: remote command exited without exit status or exit signal";
  const name = signal.replace(/^SIG/, "");
  const status = 128 + (constants.signals[`SIG${name}` as NodeJS.Signals] ?? 0);
  return `Process exited with status ${status} from signal ${name}`;
}

const FIRST_RETRY_MS = 100;
const RETRY_FACTOR = 1.5;
const LONGEST_RETRY_MS = 5000;

/** Tries `dialErrorLimit` more times, whatever the error of the first try. */
async function dial(connection: Connection, { onLine, signal }: CommandRun): Promise<SshConnection> {
  const target = targetOf(connection);
  const { dialErrorLimit: limit, perDialTimeout } = connection;
  for (let failures = 0; ; failures++) {
    try {
      return await connect(target, { timeoutMs: perDialTimeout * 1000 });
    } catch (error) {
      const message = dialFailure(error, target);
      if (isFinal(error)) throw new Error(message);
      if (failures >= limit) throw new Error(`after ${failures} failed attempts: ${message}`);
      onLine(`Dial ${failures + 1}/${limit} failed: retrying`);
    }
    await delay(Math.min(FIRST_RETRY_MS * RETRY_FACTOR ** failures, LONGEST_RETRY_MS), undefined, { signal });
  }
}

/** Errors that arise before the machine is dialled. Another try would end in the same error. */
function isFinal(error: unknown): boolean {
  return error instanceof SshError && ["agent", "private-key"].includes(error.kind);
}

function targetOf({ host, port, user, privateKey, hostKey }: Connection): SshTarget {
  const agent = process.env.SSH_AUTH_SOCK || undefined;
  return { host, port, user, privateKey, hostKey: hostKeyOf(hostKey), agent };
}

function hostKeyOf(text: string | undefined): HostKey | undefined {
  if (text === undefined) return undefined;
  const key = parseHostKey(text);
  if (key === undefined) throw new Error("failed to parse host key: ssh: no key found");
  return key;
}

/** In the words of Go's ssh package. */
function dialFailure(error: unknown, { host, port, user, hostKey, agent }: SshTarget): string {
  if (!(error instanceof SshError)) throw error;
  const address = `${host}:${port}`;
  switch (error.kind) {
    case "agent":
      return `dial unix ${agent}: connect: ${SOCKET_ERRORS[error.code ?? ""] ?? error.message}`;
    case "private-key":
      return `ssh: ${error.message}`;
    case "denied":
      return (
        `ssh: handshake failed: ssh: unable to authenticate as ${user} at ${address}, ` +
        "no supported methods remain"
      );
    case "host-key":
      return `ssh: handshake failed: ssh: host key mismatch (${address})`;
    case "handshake": {
      // The official provider offers only the key's own type, which for RSA means SHA-1.
      const reason = /no matching host key/i.test(error.message)
        ? `no common algorithm for host key; we offered: [${hostKey?.type}]`
        : error.message;
      return `ssh: handshake failed: ssh: ${reason} (${address})`;
    }
    default:
      return error.code === "ETIMEDOUT"
        ? `dial tcp ${address}: i/o timeout`
        : `dial tcp ${address}: connect: ${SOCKET_ERRORS[error.code ?? ""] ?? error.message}`;
  }
}

const SOCKET_ERRORS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ENOENT: "no such file or directory",
  ENOTFOUND: "no such host",
};
