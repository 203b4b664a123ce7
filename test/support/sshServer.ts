/** An SSH server on loopback that admits one key, and records log-ons and commands. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import ssh2, { type Client, type Connection, type Server, type ServerChannel } from "ssh2";
import { type HostKey, parseHostKey } from "../../clients/hostKey.ts";
import type { SshTarget } from "../../clients/ssh.ts";

/** `public` is `TYPE BASE64`. */
export interface KeyPair {
  readonly private: string;
  readonly public: string;
}

/**
 * A new key pair in OpenSSH's form. It repeats where ssh2 makes one that it cannot read itself, as happens
 * now and then.
 */
export function keyPair(): KeyPair {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync("ed25519");
    if (ssh2.utils.parseKey(pair.private) instanceof Error) continue;
    return { private: pair.private, public: pair.public.split(" ", 2).join(" ") };
  }
}

/** A command that the server received. */
export interface Run {
  readonly command: string;
  readonly input: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Answers a command. Without an exit the command ends with status 0. */
export type Answer = (channel: ServerChannel, run: Run) => void | Promise<void>;

/** @throws Error for a text that is no public key */
export function hostKeyOf(text: string): HostKey {
  const key = parseHostKey(text);
  if (!key) throw new Error(`${text} is no public key`);
  return key;
}

/** The host key of each server. */
export const HOST_KEY = keyPair();
/** The key of the user whom each server admits. */
export const USER_KEY = keyPair();

export class SshServer {
  readonly #server: Server;
  /** User names of every attempt to log on. */
  logOns: string[] = [];
  runs: Run[] = [];
  connections = 0;
  /** Commands that a connection may run; further ones are refused. */
  commandsPerConnection = Number.POSITIVE_INFINITY;
  answer: Answer;
  readonly #usual: Answer;

  private constructor(answer: Answer, atOnce: boolean) {
    this.answer = answer;
    this.#usual = answer;
    this.#server = new ssh2.Server({ hostKeys: [HOST_KEY.private] }, (client) => {
      // Each message would wait for the client's delayed acknowledgement.
      (client as Connection & Pick<Client, "setNoDelay">).setNoDelay(true);
      this.connections++;
      client.on("error", () => undefined);
      client.on("authentication", (attempt) => {
        this.logOns.push(attempt.username);
        const shown = attempt.method === "publickey" ? attempt.key.data.toString("base64") : "";
        shown !== "" && USER_KEY.public.includes(shown) ? attempt.accept() : attempt.reject(["publickey"]);
      });
      let commands = 0;
      client.on("session", (accept, reject) => {
        if (++commands > this.commandsPerConnection) return reject();
        const env: Record<string, string> = {};
        accept()
          .on("env", (_accept, _reject, { key, val }) => {
            env[key] = val;
          })
          .on("exec", (accepted, _reject, { command }) => {
            const channel = accepted();
            if (atOnce) void this.answer(channel, { command, input: "", env });
            else this.#serve(channel, command, env);
          });
      });
    });
  }

  /**
   * @param answer to every command, once its input has come unless `atOnce`. @default prints nothing
   * @param options.port of 127.0.0.1. @default a free one
   */
  static async start(
    answer: Answer = () => undefined,
    { atOnce = false, port = 0 } = {},
  ): Promise<SshServer> {
    const server = new SshServer(answer, atOnce);
    server.#server.listen(port, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  /** Forgets what it has recorded, and answers as at its start. */
  reset(): void {
    this.answer = this.#usual;
    this.logOns = [];
    this.runs = [];
    this.connections = 0;
  }

  /** How to log on. */
  get target(): SshTarget & KeyedTarget {
    const { port } = this.#server.address() as AddressInfo;
    return {
      host: "127.0.0.1",
      port,
      user: "debian",
      hostKey: hostKeyOf(HOST_KEY.public),
      privateKey: USER_KEY.private,
    };
  }

  stop(): void {
    this.#server.close();
  }

  #serve(channel: ServerChannel, command: string, env: Run["env"]): void {
    let input = "";
    channel.setEncoding("utf8").on("data", (chunk: string) => {
      input += chunk;
    });
    channel.once("end", async () => {
      const run = { command, input, env };
      this.runs.push(run);
      await this.answer(channel, run);
      if (channel.writable) {
        channel.exit(0);
        channel.end();
      }
    });
  }
}

interface KeyedTarget {
  readonly hostKey: HostKey;
  readonly privateKey: string;
}
