/** An SSH server for tests of remote commands, and keys for it. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import ssh2, {
  type Client,
  type Server,
  type ServerChannel,
  type Connection as ServerConnection,
} from "ssh2";

export interface KeyPair {
  readonly private: string;
  readonly public: string;
}

export function keyPair(): KeyPair {
  return ssh2.utils.generateKeyPairSync("ed25519");
}

export const hostKey = keyPair();
export const userKey = keyPair();

export interface Answer {
  stdout?: string;
  stderr?: string;
  code?: number;
  signal?: string;
  /** The command ends after it. */
  after?: Promise<void>;
}

/** An SSH server that lets one key in and answers each command alike. */
export class Machine {
  answer: Answer = {};
  connections = 0;
  logins: string[] = [];
  runs: { command: string; stdin: string; env: Record<string, string> }[] = [];
  readonly #server: Server;

  static async start(port = 0): Promise<Machine> {
    const machine = new Machine();
    machine.#server.listen(port, "127.0.0.1");
    await once(machine.#server, "listening");
    return machine;
  }

  constructor() {
    this.#server = new ssh2.Server({ hostKeys: [hostKey.private] }, (client) => this.#serve(client));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  reset(): void {
    this.answer = {};
    this.connections = 0;
    this.logins = [];
    this.runs = [];
  }

  stop(): void {
    this.#server.close();
  }

  #serve(client: ServerConnection): void {
    (client as ServerConnection & Pick<Client, "setNoDelay">).setNoDelay(true);
    this.connections++;
    client.on("error", () => {});
    client.on("authentication", (attempt) => {
      this.logins.push(attempt.username);
      const key = attempt.method === "publickey" ? attempt.key.data.toString("base64") : undefined;
      const known = key !== undefined && userKey.public.includes(key);
      known ? attempt.accept() : attempt.reject(["publickey"]);
    });
    client.on("session", (accept) => {
      const env: Record<string, string> = {};
      const session = accept();
      session.on("env", (_accept, _reject, { key, val }) => {
        env[key] = val;
      });
      session.on("exec", (accepted, _reject, { command }) => this.#run(accepted(), command, env));
    });
  }

  async #run(channel: ServerChannel, command: string, env: Record<string, string>): Promise<void> {
    let stdin = "";
    for await (const chunk of channel) stdin += chunk;
    this.runs.push({ command, stdin, env });
    const { stdout = "", stderr = "", code = 0, signal, after } = this.answer;
    await after;
    channel.write(stdout);
    channel.stderr.write(stderr);
    signal === undefined ? channel.exit(code) : channel.exit(signal);
    channel.end();
  }
}
