/** The one SSH client: compares the host key before it sends the user's name, then runs commands. */
import { connect as connectSocket } from "node:net";
import type { Readable } from "node:stream";
import type { Client, ClientChannel, ConnectConfig } from "ssh2";
import type { HostKey } from "./hostKey.ts";
import { SshError, toSshError } from "./sshError.ts";

export { SshError, type SshFault } from "./sshError.ts";

/** A machine and how to log on to it. */
export interface SshTarget {
  /** Address or name. */
  readonly host: string;
  /** Port of sshd. */
  readonly port: number;
  readonly user: string;
  /** The machine's public host key. @default any machine is trusted */
  readonly hostKey?: HostKey | undefined;
  /** Private key in plain. @default none */
  readonly privateKey?: string | undefined;
  /** @default the private key has none */
  readonly passphrase?: string | undefined;
  /** Also answers keyboard-interactive prompts. @default none */
  readonly password?: string | undefined;
  /**
   * Socket of an SSH agent, tried after the key. The log-on fails when no agent listens there. @default no
   * agent
   */
  readonly agent?: string | undefined;
}

/** How a remote command ended. All fields are undefined when the connection was lost first. */
export interface SshExit {
  readonly exitCode?: number | undefined;
  /** E.g. `SIGKILL`. */
  readonly signal?: string | undefined;
}

/** A remote command that runs. */
export interface SshProcess {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Never rejects. */
  readonly ended: Promise<SshExit>;
}

/** A remote command that has ended. */
export interface SshResult extends SshExit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Standard input. @default empty */
  readonly input?: string | undefined;
  /** Variables. sshd silently drops those that its AcceptEnv does not name. @default none */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Ends the command with SIGTERM, and the connection after the grace. @default never */
  readonly signal?: AbortSignal | undefined;
  /** @default 5000 */
  readonly graceMs?: number | undefined;
}

export interface ConnectOptions {
  /** Until the user is logged on. @default no limit */
  readonly timeoutMs?: number | undefined;
  /** Ends the connection at any moment. @default never */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Logs on.
 * @throws SshError
 */
export async function connect(target: SshTarget, options: ConnectOptions = {}): Promise<SshConnection> {
  if (target.agent) await findAgent(target.agent);
  // Loaded late, because it takes a tenth of a second and the caller has other checks to start first.
  const { default: ssh2 } = await import("ssh2");
  const key = target.privateKey ? ssh2.utils.parseKey(target.privateKey, target.passphrase) : undefined;
  const expected = target.hostKey;
  const client = new ssh2.Client();
  const { signal, timeoutMs = 0 } = options;
  if (signal?.aborted) throw timedOut();
  // ssh2 has no limit for the connection as a whole.
  signal?.addEventListener("abort", () => client.destroy(), { once: true });
  let shown: Buffer | undefined;
  const config: ConnectConfig = {
    ...credentials(target, !(key instanceof Error)),
    readyTimeout: timeoutMs,
    ...(expected && {
      algorithms: { serverHostKey: [expected.type] } as ConnectConfig["algorithms"],
      hostVerifier: (other: Buffer) => {
        if (!other.equals(expected.bytes)) shown = other;
        return shown === undefined;
      },
    }),
  };
  await new Promise<void>((resolve, reject) => {
    let known = false;
    client.once("handshake", () => {
      known = true;
    });
    client.once("ready", resolve);
    client.on("keyboard-interactive", (_name, _instructions, _language, prompts, answer) =>
      answer(prompts.map(() => target.password ?? "")),
    );
    const fail = (error: SshError) => reject(signal?.aborted ? timedOut() : duringLogOn(error, known));
    // The listener stays, because a second error without a listener would end the process.
    client.on("error", (error) => fail(toSshError(error, { shown, key })));
    client.once("close", () => fail(new SshError("closed", "the connection was closed")));
    client.connect(config);
    // Without delay: the exchange is many small messages, and each would wait for the previous one's answer.
    client.setNoDelay(true);
  });
  return new SshConnection(client);
}

/** @param known true: the machine has shown the expected host key */
function duringLogOn(error: SshError, known: boolean): SshError {
  const cut = error.kind === "closed" || (error.kind === "unreachable" && error.code === undefined);
  return known && cut ? new SshError("ended", error.message, { cause: error }) : error;
}

/** Logs on, runs one command and logs off. @throws SshError */
export async function runOverSsh(
  target: SshTarget,
  command: string,
  { input, env, ...options }: CommandOptions & ConnectOptions = {},
): Promise<SshResult> {
  const connection = await connect(target, options);
  try {
    return await connection.run(command, { input, env });
  } finally {
    connection.close();
  }
}

/** A user who is logged on. */
export class SshConnection {
  readonly #client: Client;
  #open = true;
  constructor(client: Client) {
    this.#client = client;
    client.once("close", () => {
      this.#open = false;
    });
  }

  /** False once either side has ended it, or it was lost. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Starts a command in the user's login shell. @throws SshError */
  async start(command: string, options: CommandOptions = {}): Promise<SshProcess> {
    const { input = "", env = {}, signal, graceMs = 5000 } = options;
    const client = this.#client;
    return await new Promise<SshProcess>((resolve, reject) => {
      client.once("close", () => reject(new SshError("closed", "the connection was closed")));
      client.exec(command, { env: { ...env } }, (error, channel) => {
        if (error) return reject(new SshError("refused", error.message, { cause: error }));
        // A command can end before it reads its input.
        channel.on("error", () => undefined);
        // The exit status can come in the same packet as the channel, so its listener is added first.
        const ended = waitForEnd(client, channel, signal, graceMs);
        channel.end(input);
        resolve({ stdout: channel, stderr: channel.stderr, ended });
      });
    });
  }

  /** Runs a command to its end, successful or not. @throws SshError */
  async run(command: string, options: CommandOptions = {}): Promise<SshResult> {
    const { stdout, stderr, ended } = await this.start(command, options);
    const texts = [collect(stdout), collect(stderr)];
    const exit = await ended;
    const [out = "", err = ""] = texts.map((text) => text());
    return { ...exit, stdout: out, stderr: err };
  }

  close(): void {
    this.#client.end();
  }

  /** Ends it at once, whatever it is doing. */
  destroy(): void {
    this.#client.destroy();
  }
}

function credentials(target: SshTarget, keyIsReadable: boolean): ConnectConfig {
  const { host, port, user, privateKey, passphrase, password, agent } = target;
  const methods: ("publickey" | "password" | "keyboard-interactive" | "agent")[] = [];
  if (privateKey && keyIsReadable) methods.push("publickey");
  if (password !== undefined) methods.push("password", "keyboard-interactive");
  if (agent) methods.push("agent");
  return {
    host,
    port,
    username: user,
    ...(privateKey && keyIsReadable ? { privateKey } : {}),
    ...(privateKey && keyIsReadable && passphrase !== undefined ? { passphrase } : {}),
    ...(password === undefined ? {} : { password, tryKeyboard: true }),
    ...(agent ? { agent } : {}),
    authHandler: methods,
  };
}

/** Resolves when the agent's socket can be opened. @throws SshError */
async function findAgent(path: string): Promise<void> {
  const socket = connectSocket(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (error: NodeJS.ErrnoException) =>
        reject(
          new SshError("agent", error.message, { ...(error.code ? { code: error.code } : {}), cause: error }),
        ),
      );
    });
  } finally {
    socket.destroy();
  }
}

function waitForEnd(
  client: Client,
  channel: ClientChannel,
  signal: AbortSignal | undefined,
  graceMs: number,
): Promise<SshExit> {
  let kill: NodeJS.Timeout | undefined;
  const terminate = () => {
    channel.signal("TERM");
    kill = setTimeout(() => client.destroy(), graceMs);
  };
  if (signal?.aborted) terminate();
  signal?.addEventListener("abort", terminate, { once: true });
  let exit: SshExit = {};
  channel.once("exit", (code: number | null, name?: string) => {
    exit = code === null ? { signal: name } : { exitCode: code };
  });
  return new Promise<SshExit>((resolve) => {
    channel.once("close", () => resolve(exit));
    client.once("close", () => resolve(exit));
  }).finally(() => {
    signal?.removeEventListener("abort", terminate);
    clearTimeout(kill);
  });
}

/** Starts to read a stream. The function returns what has been read. */
function collect(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** What a connection or a command ends with that its time limit cut off. */
export const timedOut = () => new SshError("unreachable", "no answer in time", { code: "ETIMEDOUT" });
