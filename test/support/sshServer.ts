/** An SSH server on loopback that admits one key, and records log-ons and commands. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import ssh2, { type Server, type ServerChannel } from "ssh2";
import { type HostKey, parseHostKey } from "../../clients/hostKey.ts";
import type { SshTarget } from "../../clients/ssh.ts";

/** `public` is `TYPE BASE64`. */
export interface KeyPair {
  readonly private: string;
  readonly public: string;
}

/** A new key pair in OpenSSH's form. ssh2 now and then makes one that it cannot read itself. */
export function keyPair(): KeyPair {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync("ed25519");
    if (ssh2.utils.parseKey(pair.private) instanceof Error) continue;
    return { private: pair.private, public: pair.public.split(" ", 2).join(" ") };
  }
}

/** A command that the server was sent. */
export interface Run {
  readonly command: string;
  readonly input: string;
}

/** Answers a command; without an exit the command ends with status 0. */
export type Answer = (channel: ServerChannel, run: Run) => void;

/** @throws Error for a text that is no public key */
export function hostKeyOf(text: string): HostKey {
  const key = parseHostKey(text);
  if (!key) throw new Error(`${text} is no public key`);
  return key;
}

const HOST_KEY = keyPair();
const USER_KEY = keyPair();

export class SshServer {
  readonly #server: Server;
  /** User names of every attempt to log on. */
  readonly logOns: string[] = [];
  readonly runs: Run[] = [];
  answer: Answer;

  private constructor(answer: Answer, atOnce: boolean) {
    this.answer = answer;
    this.#server = new ssh2.Server({ hostKeys: [HOST_KEY.private] }, (client) => {
      client.on("error", () => undefined);
      client.on("authentication", (attempt) => {
        this.logOns.push(attempt.username);
        const shown = attempt.method === "publickey" ? attempt.key.data.toString("base64") : "";
        shown !== "" && USER_KEY.public.includes(shown) ? attempt.accept() : attempt.reject(["publickey"]);
      });
      client.on("session", (accept) =>
        accept().on("exec", (accepted, _reject, { command }) => {
          const channel = accepted();
          if (atOnce) this.answer(channel, { command, input: "" });
          else this.#serve(channel, command);
        }),
      );
    });
  }

  /** @param answer to every command, once its input has come unless `atOnce`. @default prints nothing */
  static async start(answer: Answer = () => undefined, { atOnce = false } = {}): Promise<SshServer> {
    const server = new SshServer(answer, atOnce);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
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

  #serve(channel: ServerChannel, command: string): void {
    let input = "";
    channel.setEncoding("utf8").on("data", (chunk: string) => {
      input += chunk;
    });
    channel.once("end", () => {
      const run = { command, input };
      this.runs.push(run);
      this.answer(channel, run);
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
