/** Whether a push to the load balancer's machine would get through, by the same log-on, with nothing sent that changes it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Client, ConnectConfig, ParsedKey } from "ssh2";
import { sudoComplaint } from "../../clients/shell.ts";
import type { Findings, MachineContext, Preflight } from "../../preflight/capability.ts";
import { reason } from "../../preflight/fault.ts";

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
  /** Absolute path of the file that HAProxy reads, of letters, digits, dots, dashes and underscores. */
  readonly configFile: string;
}

export interface LoadBalancerState {
  /** Why a push would fail, one a line. */
  readonly faults: readonly string[];
  /** Edits by hand of haproxy.cfg, sorted, by hash: the file as it is, and those that a push has kept beside it. */
  readonly edits: readonly string[];
}

/** What the checks of the load balancer need of the configuration. */
export interface Needs {
  readonly loadBalancer: Omit<LoadBalancerAccess, "privateKey">;
  readonly loadBalancerPrivateKey: string;
}

export interface HaproxyEdgeFacts {
  /** Edits by hand that the load balancer holds, by hash. */
  readonly edits: readonly string[];
}

export const haproxyEdgePreflight = { machineChecks: [checkLoadBalancer] } satisfies Preflight<Needs>;

async function checkLoadBalancer({
  config,
  signal,
}: MachineContext<Needs>): Promise<Findings<HaproxyEdgeFacts>> {
  const access = { ...config.loadBalancer, privateKey: config.loadBalancerPrivateKey };
  const { faults, edits } = await askLoadBalancer(access, signal);
  return { faults: faults.map((message) => ({ key: "loadBalancer", message })), facts: { edits } };
}

/**
 * Looks for why a push would fail: the machine is off, is another one, does not let the user in, does not let the user be root,
 * or has no HAProxy. The host key is compared before the user's name is sent.
 * @param signal when to take the machine for off.
 */
export async function askLoadBalancer(
  access: LoadBalancerAccess,
  signal: AbortSignal,
): Promise<LoadBalancerState> {
  // Loaded here, while others are being asked: it costs a tenth of a second.
  const { default: ssh2 } = await import("ssh2");
  const parsed = ssh2.utils.parseKey(access.privateKey);
  const key = parsed instanceof Error ? undefined : parsed;
  const client = new ssh2.Client();
  // It would go on trying for as long as it likes.
  signal.addEventListener("abort", () => client.destroy(), { once: true });
  try {
    await logOn(client, access, key);
    const words = await said(client, lookAround(access.configFile), LOOK);
    return { faults: missing(words, access), edits: editsIn(words) };
  } catch (error) {
    const told = signal.aborted ? new Error("no answer in time") : (error as SshError);
    return { faults: [whyNot(told, access, key)].flatMap((fault) => fault ?? []), edits: [] };
  } finally {
    client.end();
  }
}

const LOOK = readFileSync(new URL("../../haproxy/look.sh", import.meta.url), "utf8");

/** Runs {@link LOOK} from standard input, as root where the user may. */
function lookAround(configFile: string): string {
  return `root=
if [ "$(id -u)" -ne 0 ]; then sudo -n true </dev/null 2>/dev/null && root="sudo -n" || echo sudo; fi
exec $root sh -s -- ${configFile}`;
}

/** What another machine's words may be is not for it to choose: they become part of a command. */
function editsIn(words: string): string[] {
  const hashes = [...words.matchAll(/^edit ([0-9a-f]{12}|gone)$/gm)].map(([, hash]) => hash ?? "");
  return [...new Set(hashes)].sort();
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
function said(client: Client, command: string, input: string): Promise<string> {
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
      channel.end(input);
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
