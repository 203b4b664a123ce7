/** Tests of embedded/plugins/command/remote.ts. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server as TcpServer } from "node:net";
import ssh2 from "ssh2";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Properties, reveal, Secret, UNKNOWN } from "../../../../../embedded/plugins/values.ts";
import { Plugin, urn } from "../../../../support/pluginHarness.ts";
import { type Answer, HOST_KEY, keyPair, SshServer, USER_KEY } from "../../../../support/sshServer.ts";

const COMMAND = urn("command:remote:Command", "r");
const otherKey = keyPair();

const PATIENCE = { timeout: 20_000 };

let plugin: Plugin;
let machine: SshServer;

beforeAll(async () => {
  [plugin, machine] = await Promise.all([Plugin.start("command/command.ts"), SshServer.start()]);
});
afterEach(() => machine.reset());
afterAll(async () => {
  await plugin.stop();
  machine.stop();
});

/** Prints the texts and ends, with a status or by a signal. */
function printing({ stdout = "", stderr = "", code = 0, signal, after }: Printed): Answer {
  return async (channel) => {
    await after;
    channel.write(stdout);
    channel.stderr.write(stderr);
    signal === undefined ? channel.exit(code) : channel.exit(signal);
    channel.end();
  };
}

interface Printed {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
  readonly signal?: string;
  /** The command ends after it. */
  readonly after?: Promise<void>;
}

const checked = (news: Properties) => plugin.check(COMMAND, { addPreviousOutputInEnv: false, ...news });

/** Inputs as the engine hands them to create: checked, with defaults. */
async function inputs(command: Properties, connection: Properties = {}): Promise<Properties> {
  const whole = {
    host: "127.0.0.1",
    port: machine.target.port,
    user: "lab",
    privateKey: new Secret(USER_KEY.private),
    hostKey: HOST_KEY.public,
    dialErrorLimit: 0,
    ...connection,
  };
  return (await checked({ ...command, connection: whole })).inputs;
}

describe("remote.Command", () => {
  test("runs over SSH with its input and keeps both outputs, in plain", async () => {
    machine.answer = printing({ stdout: "out\n", stderr: "err\n" });
    const { id, outputs } = await plugin.create(COMMAND, await inputs({ create: "do it", stdin: "text" }));
    expect(id).toMatch(/^r[0-9a-f]{8}$/);
    expect(outputs).toMatchObject({ stdout: "out", stderr: "err" });
    expect(machine.runs).toEqual([{ command: "do it", input: "text", env: {} }]);
  });

  test("the connection becomes a secret with the official defaults", async () => {
    const { inputs } = await checked({ connection: { host: "h" } });
    expect(inputs.connection).toEqual(
      new Secret({ host: "h", user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 }),
    );
  });

  test("a connection that is not known yet passes through a preview", async () => {
    const { inputs, failures } = await checked({ create: "x", connection: UNKNOWN });
    expect(failures).toEqual([]);
    const { outputs } = await plugin.create(COMMAND, inputs, { preview: true });
    expect(reveal(outputs.stdout ?? null)).toBe(UNKNOWN);
    const half = await checked({ create: "x", connection: { host: UNKNOWN } });
    expect(half.failures).toEqual([]);
  });

  test("an unsupported input is refused before anything is dialled", async () => {
    const failures = async (connection: Properties) => (await checked({ connection })).failures;
    for (const way of ["proxy", "password", "privateKeyPassword", "agentSocketPath"])
      expect(await failures({ host: "h", [way]: "x" })).toEqual([
        expect.stringContaining(`connection.${way}: not supported by the stand-in: connection.${way};`),
      ]);
    expect(await failures({})).toEqual(["connection.host: is required"]);
    expect((await checked({})).failures).toEqual(["connection: is required"]);
  });

  test("a failure names the status, the command and its output", async () => {
    machine.answer = printing({ stdout: "some\n", stderr: "more\n", code: 4 });
    await expect(plugin.create(COMMAND, await inputs({ create: "fail" }))).rejects.toThrow(
      /^Process exited with status 4: running "fail":\n(some\nmore|more\nsome)\n$/,
    );
  });

  test("a command that is killed is a failure", async () => {
    machine.answer = printing({ signal: "KILL" });
    await expect(plugin.create(COMMAND, await inputs({ create: "x" }))).rejects.toThrow(
      /^Process exited with status 137 from signal KILL: running "x":/,
    );
  });

  test("another host key is refused before anything is sent", async () => {
    const wrong = await inputs({ create: "secret command" }, { hostKey: otherKey.public });
    await expect(plugin.create(COMMAND, wrong)).rejects.toThrow(
      /ssh: handshake failed: ssh: host key mismatch/,
    );
    expect(machine.logOns).toEqual([]);
    expect(machine.runs).toEqual([]);
  });

  test("a text that is no host key is named", async () => {
    const wrong = await inputs({ create: "x" }, { hostKey: "ssh-ed25519 nonsense" });
    await expect(plugin.create(COMMAND, wrong)).rejects.toThrow(/failed to parse host key/);
  });

  test("without a host key any host is accepted", async () => {
    const { hostKey: _, ...connection } = reveal((await inputs({})).connection as Secret) as Properties;
    await plugin.create(COMMAND, { create: "x", connection });
    expect(machine.runs).toHaveLength(1);
  });

  test("a key that is not accepted is tried again, as each fault of a connection is", async () => {
    const wrong = await inputs({ create: "x" }, { privateKey: otherKey.private, dialErrorLimit: 1 });
    await expect(plugin.create(COMMAND, wrong)).rejects.toThrow(
      "after 1 failed attempts: ssh: handshake failed: ssh: unable to authenticate as lab at " +
        `127.0.0.1:${machine.target.port}`,
    );
    expect(machine.connections).toBe(2);
  });

  test("only the host key's own type is offered: for RSA that is SHA-1, which servers refuse", async () => {
    const { port, offer } = await listener();
    const { public: key } = ssh2.utils.generateKeyPairSync("rsa", { bits: 2048 });
    const creation = plugin.create(COMMAND, await inputs({ create: "x" }, { port, hostKey: key }));
    expect(await offer).toMatch(/[^-]ssh-rsa[^,]/);
    expect(await offer).not.toContain("rsa-sha2");
    await expect(creation).rejects.toThrow(`127.0.0.1:${port}`);
  });

  test("an agent's socket that is dead is an error, before the machine is dialled", async () => {
    const lost = await Plugin.start("command/command.ts", { SSH_AUTH_SOCK: "/no/such.sock" });
    await expect(lost.create(COMMAND, await inputs({ create: "x" }))).rejects.toThrow(
      /^dial unix \/no\/such.sock: connect: no such file or directory$/,
    );
    expect(machine.connections).toBe(0);
    await lost.stop();
  });

  test("an interrupt does not reach the command, which is waited for", async () => {
    const interrupted = await Plugin.start("command/command.ts");
    const release = Promise.withResolvers<void>();
    machine.answer = printing({ stdout: "done", after: release.promise });
    const creation = interrupted.create(COMMAND, await inputs({ create: "x" }));
    await expect.poll(() => machine.runs, PATIENCE).toHaveLength(1);
    await interrupted.cancel();
    release.resolve();
    expect((await creation).outputs.stdout).toBe("done");
    await interrupted.stop();
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

  test("a machine that starts meanwhile is reached", async () => {
    const port = await freePort();
    const urnOfIt = urn("command:remote:Command", "late");
    const creation = plugin.create(urnOfIt, await inputs({ create: "x" }, { port, dialErrorLimit: 1000 }));
    await expect
      .poll(() => plugin.log.map(({ text }) => text), PATIENCE)
      .toContain("Dial 1/1000 failed: retrying");
    const late = await SshServer.start(undefined, { port });
    await creation;
    late.stop();
  });

  test("a machine that accepts connections and sends nothing is an error within the time limit", async () => {
    const mute = createServer().listen(0, "127.0.0.1") as TcpServer;
    await once(mute, "listening");
    const { port } = mute.address() as AddressInfo;
    const silent = await inputs({ create: "x" }, { port, perDialTimeout: 1 });
    await expect(plugin.create(COMMAND, silent)).rejects.toThrow(`dial tcp 127.0.0.1:${port}: i/o timeout`);
    mute.close();
  });

  test("delete uses the connection and the input in the state", async () => {
    const state = await inputs({ create: "x", delete: "remove", stdin: "old input" });
    await plugin.delete(COMMAND, "r1", { ...state, stdout: "", stderr: "" });
    expect(machine.runs).toEqual([{ command: "remove", input: "old input", env: {} }]);
  });
});

/** Takes one connection, and the algorithms that the client offers in plain; then it closes. */
async function listener(): Promise<{ port: number; offer: Promise<string> }> {
  const offer = Promise.withResolvers<string>();
  const server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
      if (!text.includes("none,zlib") && !/none(?!,).*none/s.test(text)) return;
      offer.resolve(text);
      socket.destroy();
      server.close();
    });
    socket.write("SSH-2.0-listener\r\n");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: (server.address() as AddressInfo).port, offer: offer.promise };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
