/** Tests of components/haproxyEdge/machine.ts. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { nameOf, openSession } from "../../../../components/haproxyEdge/machine.ts";
import { SshServer } from "../../../support/sshServer.ts";

beforeEach(() => void vi.stubEnv("SSH_AUTH_SOCK", undefined));
afterEach(() => void vi.unstubAllEnvs());

const HERE = {
  ...{ local: true, host: "127.0.0.1", port: 22, user: "", privateKey: "" },
  configFile: "/etc/haproxy/haproxy.cfg",
};

it("runs a command on this machine, without SSH", async () => {
  const signal = AbortSignal.timeout(20_000);
  expect(await openSession(HERE).run("cat; exit 3", { input: "in", signal })).toMatchObject({
    stdout: "in",
    exitCode: 3,
  });
});

it("does not take a command that its time limit cuts off for one that ended", async () => {
  await expect(
    openSession(HERE).run("exec sleep 60", { input: "", signal: AbortSignal.timeout(50) }),
  ).rejects.toThrow("no answer in time");
});

it("logs on once for several commands, and again after the connection was lost", async () => {
  const limit = new AbortController();
  const server = await SshServer.start((channel, { command }) => {
    if (command === "hang") return limit.abort();
    channel.write(command);
    channel.exit(0);
    channel.end();
  });
  const session = openSession({ ...HERE, ...server.target, local: false });
  const run = (command: string, signal = AbortSignal.timeout(20_000)) =>
    session.run(command, { input: "", signal });
  try {
    expect(await run("a")).toMatchObject({ stdout: "a", exitCode: 0 });
    const once = server.logOns.length;
    expect(await run("b")).toMatchObject({ stdout: "b", exitCode: 0 });
    expect(server.logOns).toHaveLength(once);
    await expect(run("hang", limit.signal)).rejects.toMatchObject({
      kind: "unreachable",
      message: "no answer in time",
    });
    expect(await run("c")).toMatchObject({ stdout: "c", exitCode: 0 });
    expect(server.logOns).toHaveLength(2 * once);
  } finally {
    session.close();
    server.stop();
  }
});

it("logs on again where a connection runs no second command; none at all is an error", async () => {
  const server = await SshServer.start((channel, { command }) => void channel.write(command));
  server.commandsPerConnection = 1;
  const session = openSession({ ...HERE, ...server.target, local: false });
  const run = (command: string) => session.run(command, { input: "", signal: AbortSignal.timeout(20_000) });
  try {
    for (const word of ["a", "b", "c"]) expect((await run(word)).stdout).toBe(word);
    expect(server.connections).toBe(3);
    server.commandsPerConnection = 0;
    await expect(run("d")).rejects.toMatchObject({ kind: "refused" });
  } finally {
    session.close();
    server.stop();
  }
});

it("calls a machine by its user and address, and this one so", () => {
  expect(nameOf({ ...HERE, local: false, user: "lab", host: "lb" })).toBe("load balancer lab@lb:22");
  expect(nameOf(HERE)).toBe("load balancer on this machine");
});
