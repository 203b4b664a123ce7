/** The error of a command that could not be run over SSH, from the errors of ssh2. */
import type { ParsedKey } from "ssh2";

/** What kept a command from being run. */
export type SshFault =
  /** The agent's socket does not answer. */
  | "agent"
  /** ssh2 cannot read the private key, and no other way of log-on succeeded. */
  | "private-key"
  /** The machine showed another host key; nothing was sent. */
  | "host-key"
  /** No common algorithm, or the peer is not an SSH server. */
  | "handshake"
  /** The machine accepts none of the keys or passwords. */
  | "denied"
  /** The right machine ended the connection while the user logged on. */
  | "ended"
  /** The user is logged on, and the machine runs no command. */
  | "refused"
  /** Name, route, port, time limit. */
  | "unreachable"
  /** The connection ended early. */
  | "closed";

/** Says what happened. Advice is the caller's part. */
export class SshError extends Error {
  override readonly name = "SshError";
  readonly kind: SshFault;
  /** Of the socket, e.g. `ECONNREFUSED`. */
  readonly code?: string | undefined;
  /** The host key that the machine showed, where it was not the expected one. */
  readonly shown?: Buffer | undefined;
  /** `TYPE BASE64` of the private key that was not accepted. */
  readonly publicKey?: string | undefined;

  constructor(
    kind: SshFault,
    message: string,
    details: { code?: string; shown?: Buffer; publicKey?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.code = details.code;
    this.shown = details.shown;
    this.publicKey = details.publicKey;
  }
}

/**
 * @param details `shown`: the machine's host key, where it is not the expected one; `key`: the private key,
 * or why it cannot be read
 */
export function toSshError(
  error: Error & { readonly level?: string; readonly code?: string },
  { shown, key }: { shown: Buffer | undefined; key: ParsedKey | Error | undefined },
): SshError {
  const cause = { cause: error };
  if (shown) return new SshError("host-key", "host key mismatch", { ...cause, shown });
  switch (error.level) {
    case "client-authentication":
      if (key instanceof Error) return new SshError("private-key", key.message, cause);
      return new SshError("denied", error.message, { ...cause, ...(key && { publicKey: publicKey(key) }) });
    case "client-timeout":
      return new SshError("unreachable", "no answer in time", { ...cause, code: "ETIMEDOUT" });
    case "handshake":
    case "protocol":
      return new SshError("handshake", error.message, cause);
    default:
      return new SshError("unreachable", error.message, {
        ...cause,
        ...(error.code ? { code: error.code } : {}),
      });
  }
}

const publicKey = (key: ParsedKey) => `${key.type} ${key.getPublicSSH().toString("base64")}`;
