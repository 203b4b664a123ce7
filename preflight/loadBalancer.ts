/** Whether a push to the load balancer's machine would get through: the same log-on, with nothing sent that changes it. */
import { createHash } from "node:crypto";
import type { Client, ConnectConfig, ParsedKey } from "ssh2";
import { reason } from "./fault.ts";

export interface LoadBalancerAccess {
  /** Address or name for SSH. */
  readonly host: string;
  /** Port of sshd. */
  readonly port: number;
  /** User that may run `sudo -n`, or root. */
  readonly user: string;
  /** The machine's public host key, `TYPE BASE64`. */
  readonly hostKey: string;
  /** Private key for the user, in plain. */
  readonly privateKey: string;
}

/**
 * Why a push would fail, one fault a line: the machine is off, is another one, does not let the user in, does not let
 * the user be root, or has no HAProxy. The host key is compared before the user's name is sent.
 * @param signal when to take the machine for off.
 */
export async function loadBalancerFaults(access: LoadBalancerAccess, signal: AbortSignal): Promise<string[]> {
  // Loaded here, while others are being asked: it costs a tenth of a second.
  const { default: ssh2 } = await import("ssh2");
  const parsed = ssh2.utils.parseKey(access.privateKey);
  const key = parsed instanceof Error ? undefined : parsed;
  const client = new ssh2.Client();
  // It would go on trying for as long as it likes.
  signal.addEventListener("abort", () => client.destroy(), { once: true });
  try {
    await logOn(client, access, key);
    return missing(await said(client, LOOK_AROUND), access);
  } catch (error) {
    const told = signal.aborted ? new Error("no answer in time") : (error as SshError);
    return [whyNot(told, access, key)].flatMap((fault) => fault ?? []);
  } finally {
    client.end();
  }
}

/** Names what a push would look for in vain. */
const LOOK_AROUND = `[ "$(id -u)" -eq 0 ] || sudo -n true </dev/null 2>/dev/null || echo sudo
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; command -v haproxy >/dev/null || echo haproxy`;

/** What a user without the right to be root can do; the push says the same. */
export function sudoComplaint({ user, host }: Pick<LoadBalancerAccess, "user" | "host">): string {
  return `${user} may not run sudo without a password on ${host}: put "${user} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there`;
}

function missing(words: string, { user, host, port }: LoadBalancerAccess): string[] {
  const where = `load balancer ${user}@${host}:${port}`;
  return [
    ...(/^sudo$/m.test(words) ? [`${where}: ${sudoComplaint({ user, host })}`] : []),
    ...(/^haproxy$/m.test(words)
      ? [`${where} has no haproxy; install it first (Debian: apt-get install haproxy)`]
      : []),
  ];
}

/** ssh2's error, and the key that the machine showed when it was not the one wanted. */
type SshError = Error & { readonly level?: string; readonly shown?: Buffer };

/** Resolves when the user is let in. */
function logOn(client: Client, access: LoadBalancerAccess, key: ParsedKey | undefined): Promise<void> {
  let other: Buffer | undefined;
  const onKey = (shown: Buffer) => {
    const right = shown.equals(blob(access.hostKey));
    if (!right) other = shown;
    return right;
  };
  return new Promise((resolve, reject) => {
    client.once("ready", () => resolve());
    // Errors come after the first one too, and would end the program if nobody listened.
    client.on("error", (error) => reject(Object.assign(error, { shown: other })));
    client.once("close", () => reject(new Error("the connection was closed")));
    client.connect({ ...credentials(access, key), hostVerifier: onKey });
  });
}

function credentials(
  { host, port, user, privateKey, hostKey }: LoadBalancerAccess,
  key: ParsedKey | undefined,
): ConnectConfig {
  const type = hostKey.split(" ")[0] ?? "";
  // An RSA key signs with any of these; the others have one algorithm of their own name.
  const serverHostKey = type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [type];
  const agent = process.env.SSH_AUTH_SOCK;
  return {
    host,
    port,
    username: user,
    ...(key ? { privateKey } : {}),
    // The plugin asks the agent too.
    ...(agent ? { agent } : {}),
    algorithms: { serverHostKey } as ConnectConfig["algorithms"],
    // The caller's signal is the limit.
    readyTimeout: 0,
  };
}

/** What a command prints on its standard output. */
function said(client: Client, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.once("close", () => reject(new Error("the connection was closed")));
    client.exec(command, (error, channel) => {
      if (error) return reject(error);
      let text = "";
      channel.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      channel.stderr.resume();
      channel.once("close", () => resolve(text));
      channel.end();
    });
  });
}

/** One line; undefined where the key is of a form that only the push can read, and the machine is the right one. */
function whyNot(
  error: SshError,
  { user, host, port, hostKey }: LoadBalancerAccess,
  key: ParsedKey | undefined,
): string | undefined {
  const where = `load balancer ${user}@${host}:${port}`;
  if (error.shown) {
    return `${where} shows the host key ${fingerprint(error.shown)}, and loadBalancer.hostKey is ${fingerprint(blob(hostKey))}: nothing was sent to it. If the machine was made anew, compare with \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\` on it and set loadBalancer.hostKey`;
  }
  if (error.level === "handshake")
    return `${where} does not come to terms: ${reason(error)}; does its sshd have a host key of the type in loadBalancer.hostKey?`;
  if (error.level === "client-authentication") {
    return (
      key &&
      `${where} does not accept loadBalancerPrivateKey: add its public key to ~/.ssh/authorized_keys of ${user} there: ${publicKey(key)}`
    );
  }
  return `${where} does not answer: ${reason(error)}; is the machine up, and do loadBalancer.host and loadBalancer.port lead to its sshd?`;
}

/** The bytes of `TYPE BASE64`. */
const blob = (publicKey: string) => Buffer.from(publicKey.split(" ")[1] ?? "", "base64");

/** As ssh-keygen prints it. */
const fingerprint = (key: Buffer) =>
  `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;

const publicKey = (key: ParsedKey) => `${key.type} ${key.getPublicSSH().toString("base64")}`;
