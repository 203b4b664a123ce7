/** Tests of clients/ssh.ts. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import ssh2, { type ServerChannel } from "ssh2";
import { afterEach, describe, expect, it } from "vitest";
import { connect, runOverSsh, SshError } from "../../../clients/ssh.ts";
import { hostKeyOf, keyPair, SshServer } from "../../support/sshServer.ts";

const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function start(...args: Parameters<typeof SshServer.start>): Promise<SshServer> {
  const server = await SshServer.start(...args);
  closing.push(() => server.stop());
  return server;
}

/** The error of an attempt to log on. */
async function errorOf(attempt: Promise<unknown>): Promise<SshError> {
  const error = await attempt.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(SshError);
  return error;
}

describe("a command", () => {
  it("gets its input, and its outputs and exit status come back", async () => {
    const server = await start((channel, { input }) => {
      channel.write(`out ${input}`);
      channel.stderr.write("err");
      channel.exit(3);
      channel.end();
    });
    expect(await runOverSsh(server.target, "it's a command", { input: "text" })).toEqual({
      exitCode: 3,
      stdout: "out text",
      stderr: "err",
    });
    expect(server.runs).toEqual([{ command: "it's a command", input: "text", env: {} }]);
  });

  it("ended by a signal names it", async () => {
    const server = await start((channel) => {
      channel.exit("KILL", false, "");
      channel.end();
    });
    expect(await runOverSsh(server.target, "x")).toMatchObject({ signal: "SIGKILL", stdout: "" });
  });

  it("that ends before it reads its input has its exit status", async () => {
    const end = (channel: ServerChannel) => {
      channel.write("not available\n");
      channel.exit(1);
      channel.end();
    };
    const server = await start(end, { atOnce: true });
    expect(await runOverSsh(server.target, "x", { input: "text" })).toEqual({
      exitCode: 1,
      stdout: "not available\n",
      stderr: "",
    });
  });

  it("keeps characters whole that arrive in pieces", async () => {
    const server = await start((channel) => {
      const bytes = Buffer.from("größer");
      channel.write(bytes.subarray(0, 3));
      channel.write(bytes.subarray(3));
      channel.exit(0);
      channel.end();
    });
    expect((await runOverSsh(server.target, "x")).stdout).toBe("größer");
  });

  it("can follow another one on the same connection", async () => {
    const server = await start();
    const connection = await connect(server.target);
    await connection.run("one");
    await connection.run("two");
    connection.close();
    expect(server.runs.map(({ command }) => command)).toEqual(["one", "two"]);
  });
});

describe("a log-on that fails", () => {
  it("shows the other host key, and sends nothing", async () => {
    const server = await start();
    const error = await errorOf(connect({ ...server.target, hostKey: hostKeyOf(keyPair().public) }));
    expect(error.kind).toBe("host-key");
    expect(error.shown).toEqual(server.target.hostKey.bytes);
    expect(server.logOns).toEqual([]);
  });

  it("accepts any machine when no host key is given", async () => {
    const server = await start();
    const { hostKey: _, ...target } = server.target;
    expect(await runOverSsh(target, "x")).toMatchObject({ exitCode: 0 });
  });

  it("says when the host key is of a type that the machine lacks", async () => {
    const server = await start();
    const rsa = ssh2.utils.generateKeyPairSync("rsa", { bits: 2048 }).public;
    expect((await errorOf(connect({ ...server.target, hostKey: hostKeyOf(rsa) }))).kind).toBe("handshake");
  });

  it("says when the key is not accepted, or cannot be read", async () => {
    const server = await start();
    expect((await errorOf(connect({ ...server.target, privateKey: keyPair().private }))).kind).toBe("denied");
    expect((await errorOf(connect({ ...server.target, privateKey: "nonsense" }))).kind).toBe("private-key");
  });

  it("says when the agent is dead", async () => {
    const server = await start();
    const error = await errorOf(connect({ ...server.target, agent: "/nonexistent/agent.sock" }));
    expect(error).toMatchObject({ kind: "agent", code: "ENOENT" });
    expect(server.logOns).toEqual([]);
  });

  it("says when the machine is off, or accepts the connection and sends nothing", async () => {
    const server = await start();
    const { target } = server;
    server.stop();
    expect(await errorOf(connect(target))).toMatchObject({ kind: "unreachable", code: "ECONNREFUSED" });
    const mute = createServer().listen(0, "127.0.0.1");
    await once(mute, "listening");
    closing.push(() => mute.close());
    const { port } = mute.address() as AddressInfo;
    const timedOut = { kind: "unreachable", code: "ETIMEDOUT" };
    expect(await errorOf(connect({ ...target, port }, { timeoutMs: 100 }))).toMatchObject(timedOut);
    const signal = AbortSignal.timeout(100);
    expect(await errorOf(connect({ ...target, port }, { signal }))).toMatchObject(timedOut);
  });
});
