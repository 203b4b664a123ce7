import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server as TcpServer } from "node:net";
import ssh2, {
  type Client,
  type Server,
  type ServerChannel,
  type Connection as ServerConnection,
} from "ssh2";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Properties, reveal, Secret, UNKNOWN } from "../../../../../embedded/plugins/values.ts";
import { Plugin, urn } from "../../../../support/pluginHarness.ts";

const COMMAND = urn("command:remote:Command", "r");
const hostKey = keyPair();
const userKey = keyPair();
const otherKey = keyPair();

let plugin: Plugin;
let machine: Machine;

beforeAll(async () => {
  [plugin, machine] = await Promise.all([Plugin.start("command/command.ts"), Machine.start()]);
});
afterEach(() => machine.reset());
afterAll(async () => {
  await plugin.stop();
  machine.stop();
});

/** Inputs as the engine hands them to create: checked, with defaults. */
async function inputs(command: Properties, connection: Properties = {}): Promise<Properties> {
  const whole = {
    host: "127.0.0.1",
    port: machine.port,
    user: "lab",
    privateKey: new Secret(userKey.private),
    hostKey: hostKey.public,
    dialErrorLimit: 0,
    ...connection,
  };
  return (await plugin.check(COMMAND, { ...command, connection: whole })).inputs;
}

describe("remote.Command", () => {
  test("runs over SSH with its input and keeps both outputs, as secret as the connection is", async () => {
    machine.answer = { stdout: "out\n", stderr: "err\n" };
    const { id, outputs } = await plugin.create(COMMAND, await inputs({ create: "do it", stdin: "text" }));
    expect(id).toMatch(/^r[0-9a-f]{8}$/);
    expect(outputs).toMatchObject({ stdout: new Secret("out"), stderr: new Secret("err") });
    expect(machine.runs).toEqual([{ command: "do it", stdin: "text", env: {} }]);
  });

  test("the connection becomes a secret with the official defaults", async () => {
    const { inputs: checked } = await plugin.check(COMMAND, { connection: { host: "h" } });
    expect(checked.connection).toEqual(
      new Secret({ host: "h", user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 }),
    );
  });

  test("a connection that is not known yet passes through a preview", async () => {
    const { inputs: checked, failures } = await plugin.check(COMMAND, { create: "x", connection: UNKNOWN });
    expect(failures).toEqual([]);
    const { outputs } = await plugin.create(COMMAND, checked, { preview: true });
    expect(reveal(outputs.stdout ?? null)).toBe(UNKNOWN);
    const half = await plugin.check(COMMAND, { create: "x", connection: { host: UNKNOWN } });
    expect(half.failures).toEqual([]);
  });

  test("what is not supported is refused before anything is dialled", async () => {
    const failures = async (connection: Properties) => (await plugin.check(COMMAND, { connection })).failures;
    expect(await failures({ host: "h", proxy: { host: "p" } })).toEqual([
      "connection.proxy: is not supported by the stand-in plugin",
    ]);
    expect(await failures({})).toEqual(["connection.host: is required"]);
    expect((await plugin.check(COMMAND, {})).failures).toEqual(["connection: is required"]);
  });

  test("a failure names the status, the command and what was printed", async () => {
    machine.answer = { stdout: "some\n", stderr: "more\n", code: 4 };
    await expect(plugin.create(COMMAND, await inputs({ create: "fail" }))).rejects.toThrow(
      /^Process exited with status 4: running "fail":\n(some\nmore|more\nsome)\n$/,
    );
  });

  test("a command that is killed is a failure", async () => {
    machine.answer = { signal: "KILL" };
    await expect(plugin.create(COMMAND, await inputs({ create: "x" }))).rejects.toThrow(
      /^Process exited from signal SIGKILL: running "x":/,
    );
  });

  test("another host key is refused before anything is sent", async () => {
    const wrong = await inputs({ create: "secret command" }, { hostKey: otherKey.public });
    await expect(plugin.create(COMMAND, wrong)).rejects.toThrow(
      /ssh: handshake failed: ssh: host key mismatch/,
    );
    expect(machine.logins).toEqual([]);
    expect(machine.runs).toEqual([]);
  });

  test("a host key that is none is named", async () => {
    const wrong = await inputs({ create: "x" }, { hostKey: "ssh-ed25519 nonsense" });
    await expect(plugin.create(COMMAND, wrong)).rejects.toThrow(/failed to parse host key/);
  });

  test("without a host key any host will do", async () => {
    const { hostKey: _, ...connection } = reveal((await inputs({})).connection as Secret) as Properties;
    await plugin.create(COMMAND, { create: "x", connection });
    expect(machine.runs).toHaveLength(1);
  });

  test("a key that is not accepted is no reason to try again", async () => {
    const wrong = await inputs({ create: "x" }, { privateKey: otherKey.private, dialErrorLimit: 10 });
    await expect(plugin.create(COMMAND, wrong)).rejects.toThrow(
      `ssh: unable to authenticate as lab at 127.0.0.1:${machine.port}`,
    );
    expect(machine.connections).toBe(1);
  });

  test("a password does too", async () => {
    machine.password = "open";
    const { privateKey: _, ...connection } = reveal((await inputs({})).connection as Secret) as Properties;
    await plugin.create(COMMAND, { create: "x", connection: { ...connection, password: "open" } });
    expect(machine.runs).toHaveLength(1);
  });

  test("a machine that is off is dialled as often as configured, and named", async () => {
    const port = await freePort();
    const urnOfIt = urn("command:remote:Command", "off");
    const off = await inputs({ create: "x" }, { port, dialErrorLimit: 2 });
    await expect(plugin.create(urnOfIt, off)).rejects.toThrow(
      `after 2 failed attempts: dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
    expect(plugin.log.filter((line) => line.urn === urnOfIt).map(({ text }) => text)).toEqual([
      "Dial 1/2 failed: retrying",
      "Dial 2/2 failed: retrying",
    ]);
  });

  test("a machine that comes up in the meantime is found", async () => {
    const port = await freePort();
    const urnOfIt = urn("command:remote:Command", "late");
    const creation = plugin.create(urnOfIt, await inputs({ create: "x" }, { port, dialErrorLimit: -1 }));
    await expect.poll(() => plugin.log.map(({ text }) => text)).toContain("Dial 1/inf failed: retrying");
    const late = await Machine.start(port);
    await creation;
    late.stop();
  });

  test("a machine that takes connections and says nothing is given up in time", async () => {
    const mute = createServer().listen(0, "127.0.0.1") as TcpServer;
    await once(mute, "listening");
    const { port } = mute.address() as AddressInfo;
    const silent = await inputs({ create: "x" }, { port, perDialTimeout: 1 });
    await expect(plugin.create(COMMAND, silent)).rejects.toThrow(`dial tcp 127.0.0.1:${port}: i/o timeout`);
    mute.close();
  });

  test("environment that the server does not take is an error, output of the run before only a warning", async () => {
    machine.refuses = ["GREETING"];
    const wanted = await inputs({ create: "x", environment: { GREETING: "hi" } });
    await expect(plugin.create(COMMAND, wanted)).rejects.toThrow(
      /could not set environment variable "GREETING"/,
    );
    expect(machine.runs).toEqual([]);

    machine.refuses = ["PULUMI_COMMAND_STDOUT"];
    const news = await inputs({ create: "x", environment: { GREETING: "hi" } });
    const olds = { ...news, stdout: new Secret("old"), stderr: "" };
    await plugin.update(COMMAND, { id: "r1", olds, oldInputs: {}, news });
    expect(machine.runs).toEqual([{ command: "x", stdin: "", env: { GREETING: "hi" } }]);
    expect(plugin.log.some(({ text }) => text.includes("Unable to set 'PULUMI_COMMAND_STDOUT'"))).toBe(true);
  });

  test("delete uses the connection and the input in the state", async () => {
    const state = await inputs({ create: "x", delete: "remove", stdin: "old input" });
    await plugin.delete(COMMAND, "r1", { ...state, stdout: "", stderr: "" });
    expect(machine.runs).toEqual([{ command: "remove", stdin: "old input", env: {} }]);
  });
});

interface Answer {
  stdout?: string;
  stderr?: string;
  code?: number;
  signal?: string;
}

/** An SSH server that lets one key in and answers every command alike. */
class Machine {
  answer: Answer = {};
  password: string | undefined;
  /** Variables that it drops, as sshd does with all that AcceptEnv does not name. */
  refuses: string[] = [];
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
    this.password = undefined;
    this.refuses = [];
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
      const password = attempt.method === "password" && attempt.password === this.password;
      known || password ? attempt.accept() : attempt.reject(["publickey", "password"]);
    });
    client.on("session", (accept) => {
      const env: Record<string, string> = {};
      const session = accept();
      session.on("env", (_accept, _reject, { key, val }) => {
        if (!this.refuses.includes(key)) env[key] = val;
      });
      session.on("exec", (accepted, _reject, { command }) => this.#run(accepted(), command, env));
    });
  }

  async #run(channel: ServerChannel, command: string, env: Record<string, string>): Promise<void> {
    let stdin = "";
    for await (const chunk of channel) stdin += chunk;
    const asked = [...command.matchAll(/echo (\w+)/g)].map(([, name]) => name as string);
    if (command.includes("+x}")) {
      channel.write(asked.map((name) => (name in env ? "" : `${name}\n`)).join(""));
      channel.exit(0);
      channel.end();
      return;
    }
    this.runs.push({ command, stdin, env });
    const { stdout = "", stderr = "", code = 0, signal } = this.answer;
    channel.write(stdout);
    channel.stderr.write(stderr);
    signal === undefined ? channel.exit(code) : channel.exit(signal);
    channel.end();
  }
}

function keyPair(): { private: string; public: string } {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = pair.privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const parsed = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) throw parsed;
  return { private: pem, public: `ssh-rsa ${parsed.getPublicSSH().toString("base64")} test` };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
