/** Runs a command over SSH, as `remote.Command` does. */
import { setTimeout as delay } from "node:timers/promises";
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from "ssh2";

import {
  type CommandRun,
  environment,
  type Output,
  previousOutputVariables,
  TERMINATION_GRACE_MS,
  Transcript,
} from "./local.ts";

/** Defaults are set when the resource is checked; see the official `remote.Connection`. */
interface Connection {
  host: string;
  port: number;
  user: string;
  password?: string;
  privateKey?: string;
  privateKeyPassword?: string;
  /** As in authorized_keys: type, base64, comment. Not given: any host is trusted. */
  hostKey?: string;
  agentSocketPath?: string;
  /** -1 for no limit. */
  dialErrorLimit: number;
  /** In seconds; 0 for no limit. */
  perDialTimeout: number;
}

/** @throws when the machine does not answer, is another one, refuses us, or the command fails */
export async function runRemotely(run: CommandRun): Promise<Output> {
  const { settings, command, signal } = run;
  const client = await dial(settings.connection as unknown as Connection, run);
  try {
    const variables = await acceptedVariables(client, run);
    const channel = await exec(client, command, variables);
    const transcript = new Transcript(settings, run.onLine);
    transcript.follow("stdout", channel);
    transcript.follow("stderr", channel.stderr);
    channel.on("error", () => {});
    channel.end((settings.stdin as string | undefined) ?? "");
    const failure = await ended(channel, client, signal);
    transcript.end();
    if (failure !== undefined) throw transcript.failure(failure, command);
    return transcript.output();
  } finally {
    client.end();
  }
}

const FIRST_RETRY_MS = 100;
const RETRY_FACTOR = 1.5;
const LONGEST_RETRY_MS = 5000;

/** Tries `dialErrorLimit` times more when the machine cannot be reached; not when it is the wrong one or says no. */
async function dial(connection: Connection, { onLine, signal }: CommandRun): Promise<Client> {
  const config = clientConfig(connection);
  const { dialErrorLimit: limit } = connection;
  for (let failures = 0; ; failures++) {
    try {
      return await connect(config, connection);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      if (limit >= 0 && failures >= limit)
        throw new Error(`after ${failures} failed attempts: ${error.message}`);
      onLine(`Dial ${failures + 1}/${limit === -1 ? "inf" : limit} failed: retrying`);
    }
    await delay(Math.min(FIRST_RETRY_MS * RETRY_FACTOR ** failures, LONGEST_RETRY_MS), undefined, { signal });
  }
}

/** Worth another try. */
class Unreachable extends Error {}

function clientConfig(connection: Connection): ConnectConfig {
  const { host, port, user, password, privateKey, privateKeyPassword, hostKey, perDialTimeout } = connection;
  const config: ConnectConfig = { host, port, username: user, readyTimeout: perDialTimeout * 1000 };
  const methods: ("publickey" | "password" | "keyboard-interactive" | "agent")[] = [];
  if (privateKey !== undefined) {
    const key = ssh2.utils.parseKey(privateKey, privateKeyPassword);
    if (key instanceof Error) throw new Error(`connection.privateKey cannot be used: ${key.message}`);
    Object.assign(config, { privateKey, passphrase: privateKeyPassword });
    methods.push("publickey");
  }
  if (password !== undefined) {
    config.password = password;
    config.tryKeyboard = true;
    methods.push("password", "keyboard-interactive");
  }
  const agent = connection.agentSocketPath ?? process.env.SSH_AUTH_SOCK;
  if (agent) {
    config.agent = agent;
    methods.push("agent");
  }
  config.authHandler = methods;
  if (hostKey !== undefined) Object.assign(config, hostKeyCheck(hostKey));
  return config;
}

function hostKeyCheck(hostKey: string): Pick<ConnectConfig, "algorithms" | "hostVerifier"> {
  const [type, base64] = hostKey.trim().split(/\s+/);
  const parsed = ssh2.utils.parseKey(`${type} ${base64}`);
  if (parsed instanceof Error) throw new Error(`failed to parse host key: ssh: ${parsed.message}`);
  const expected = parsed.getPublicSSH();
  // An RSA key signs with any of these; the others have one algorithm of their own name.
  const serverHostKey = type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [type];
  return {
    algorithms: { serverHostKey } as ConnectConfig["algorithms"],
    hostVerifier: (key: Buffer) => key.equals(expected),
  };
}

function connect(config: ConnectConfig, { host, port, user, password }: Connection): Promise<Client> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.on("keyboard-interactive", (_name, _instructions, _language, prompts, answer) =>
      answer(prompts.map(() => password ?? "")),
    );
    client.once("ready", () => resolve(client));
    // Errors come after the first one too, and would end the process if nobody listened.
    client.on("error", (error) => reject(dialError(error, `${host}:${port}`, user)));
    client.once("close", () => reject(new Unreachable(`dial tcp ${host}:${port}: connection closed`)));
    client.connect(config);
    // An exchange of many small messages, each of which would wait for the answer to the one before.
    client.setNoDelay(true);
  });
}

/** In the words of Go's ssh package, which the official provider shows. */
function dialError(error: Error & { level?: string; code?: string }, address: string, user: string): Error {
  switch (error.level) {
    case "client-authentication":
      return new Error(
        `ssh: handshake failed: ssh: unable to authenticate as ${user} at ${address}, no supported methods remain`,
      );
    case "handshake": {
      const reason = /verification failed/.test(error.message) ? "host key mismatch" : error.message;
      return new Error(`ssh: handshake failed: ssh: ${reason} (${address})`);
    }
    case "client-timeout":
      return new Unreachable(`dial tcp ${address}: i/o timeout`);
    default:
      return new Unreachable(
        `dial tcp ${address}: connect: ${SOCKET_ERRORS[error.code ?? ""] ?? error.message}`,
      );
  }
}

const SOCKET_ERRORS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ENOTFOUND: "no such host",
  ETIMEDOUT: "connection timed out",
};

/**
 * The variables that the server lets us set. One of `environment` that it refuses is an error, one of the previous
 * output a warning. ssh2 sends variables without asking for an answer, so the far shell is asked what has arrived.
 */
async function acceptedVariables(client: Client, run: CommandRun): Promise<Record<string, string>> {
  const wanted = environment(run.settings);
  const previous = previousOutputVariables(run.settings, run.previous);
  const variables: Record<string, string> = { ...wanted, ...previous };
  const names = Object.keys(variables);
  const odd = names.find((name) => !/^[A-Za-z_]\w*$/.test(name));
  if (odd !== undefined) throw refused(odd);
  if (names.length === 0) return {};

  const probe = names.map((name) => `[ -n "\${${name}+x}" ] || echo ${name}`).join("; ");
  const channel = await exec(client, probe, variables);
  let missing = "";
  channel.setEncoding("utf8").on("data", (chunk: string) => {
    missing += chunk;
  });
  channel.stderr.resume();
  channel.end();
  await new Promise<void>((resolve) => channel.once("close", resolve));

  for (const name of missing.split("\n").filter((line) => line !== "")) {
    if (name in wanted) throw refused(name);
    run.onWarning(`Unable to set '${name}'. ${ACCEPT_ENV_ADVICE}`);
    delete variables[name];
  }
  return variables;
}

const ACCEPT_ENV_ADVICE =
  "This only works if your SSH server is configured to accept these variables via AcceptEnv. Alternatively, if a " +
  "Bash-like shell runs the command on the remote host, you could prefix the command itself with the variables in " +
  "the form 'VAR=value command'";

function refused(name: string): Error {
  return new Error(
    `could not set environment variable ${JSON.stringify(name)}: ssh: setenv failed. ${ACCEPT_ENV_ADVICE}`,
  );
}

function exec(client: Client, command: string, env: Record<string, string>): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, { env }, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}

/** What went wrong, in the words of Go's ssh package; undefined for exit status 0. */
function ended(channel: ClientChannel, client: Client, signal: AbortSignal): Promise<string | undefined> {
  let kill: NodeJS.Timeout | undefined;
  const terminate = () => {
    channel.signal("TERM");
    kill = setTimeout(() => client.destroy(), TERMINATION_GRACE_MS);
  };
  if (signal.aborted) terminate();
  signal.addEventListener("abort", terminate, { once: true });
  return new Promise<string | undefined>((resolve) => {
    let failure: string | undefined = "wait: remote command exited without exit status or exit signal";
    channel.once("exit", (code: number | null, name?: string) => {
      if (code === 0) failure = undefined;
      else
        failure = code === null ? `Process exited from signal ${name}` : `Process exited with status ${code}`;
    });
    channel.once("close", () => resolve(failure));
    client.once("close", () => resolve(failure));
  }).finally(() => {
    signal.removeEventListener("abort", terminate);
    clearTimeout(kill);
  });
}
